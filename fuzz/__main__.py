"""The command: tries inputs at every target for a while, and says how many; keeps an input that breaks one.

./run fuzz [--seconds 60] [TARGET …]        ./run fuzz TARGET --again FILE
"""

import argparse
import hashlib
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.failures import Misspoken
from fuzz.targets import TARGETS, Target
from local.services import ROOT

INPUT_BYTES_MAX = 8_192
"""Longer inputs cost time and find little; the seeds hold the few that have to be long."""

SLOW_S = 10
"""An input that takes so long is one that breaks something as well."""

MEMORY_MIB_MAX = 2_048

DONE = re.compile(r"Done (\d+) runs")
SHOWN_LINES = 25


@dataclass(frozen=True)
class Outcome:
    """What came of one target."""

    target: Target
    executions: int
    seconds: float
    wrong: str | None
    found: Path | None


def do(chosen: argparse.Namespace, _: Sequence[str] = ()) -> int:
    """Does what was chosen. -> the exit code. Raises Misspoken."""
    unknown = [name for name in chosen.targets if name not in TARGETS]
    if unknown:
        raise Misspoken(f"There is no target {unknown[0]}; there are: {', '.join(TARGETS)}.")
    folder: Path = chosen.data.absolute() / "fuzz"
    if chosen.again is not None:
        return again(chosen.targets, chosen.again)
    targets = [TARGETS[name] for name in chosen.targets or TARGETS]
    outcomes = [fuzz(target, folder / target.name, chosen.seconds / len(targets)) for target in targets]
    return int(any(outcome.wrong for outcome in outcomes))


def again(names: Sequence[str], file: Path) -> int:
    """One input once more. -> the exit code"""
    if len(names) != 1:
        raise Misspoken("Say which target it is that the file breaks.")
    return subprocess.run(command(names[0], file), cwd=ROOT, check=False).returncode


def fuzz(target: Target, folder: Path, seconds: float) -> Outcome:
    """One target, for so long; told at its end."""
    corpus = prepared(target, folder)
    print(f"{target.name}: {target.says}", flush=True)
    limits = (
        f"-max_total_time={max(1, round(seconds))}",
        f"-timeout={SLOW_S}",
        f"-max_len={INPUT_BYTES_MAX}",
        f"-rss_limit_mb={MEMORY_MIB_MAX}",
        f"-artifact_prefix={folder}/",
    )
    before, began = set(folder.iterdir()), time.monotonic()
    done = subprocess.run(command(target.name, corpus, *limits), cwd=ROOT, capture_output=True, text=True, check=False)
    found = next(iter(sorted(set(folder.iterdir()) - before)), None)
    said = done.stdout + done.stderr
    counted = DONE.search(said)
    wrong = said if done.returncode else None
    outcome = Outcome(target, int(counted[1]) if counted else 0, time.monotonic() - began, wrong, found)
    print("\n".join(words(outcome)), flush=True)
    return outcome


def command(name: str, *rest: str | Path) -> list[str]:
    """The process that tries inputs at one target."""
    return [sys.executable, "-P", "-m", "fuzz.one", name, *map(str, rest)]


def prepared(target: Target, folder: Path) -> Path:
    """The folder of inputs that are known already, the seeds among them: what was found in earlier runs is built on."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    return corpus


def words(outcome: Outcome) -> list[str]:
    """What is said of a target."""
    if outcome.wrong is None:
        return [f"  {outcome.executions:,} executions in {outcome.seconds:.0f} s, nothing broken"]
    lines = [line for line in outcome.wrong.splitlines() if line.strip()]
    told = [f"    {line}" for line in lines[-SHOWN_LINES:]]
    if outcome.found is None:
        return ["  broken off:", *told]
    return [
        f"  broken by {outcome.found}:",
        *told,
        f"  again with: ./run fuzz {outcome.target.name} --again {outcome.found}",
    ]
