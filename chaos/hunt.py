"""The hunt: has the harness look for each planted bug, seed by seed, until the checker finds it.

.venv/bin/python -m chaos.hunt [BUG …] [--seeds 10]

Each bug names the faults that provoke it, and a few workflows are enough. A bug is found when one of the invariants
that it has to break is broken; what else breaks with it is told as well.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from chaos.planted import BUGS
from chaos.planted.bug import Bug

ROOT = Path(__file__).resolve().parents[1]
RUN_S_MAX = 420
"""A run that hangs is given up; none that is well takes half as long."""

LATENCY_S = 0.5
PATIENCE_S = 20
"""A bug that keeps a workflow from its end is seen soon; nothing that is well takes so long at this latency."""

JUDGED = re.compile(r"^(ok|idle|BROKEN)\s+\d+", re.MULTILINE)
"""What the checker says of an invariant, and only of a run that it could judge."""

BROKEN = re.compile(r"^BROKEN\s+(\d+)", re.MULTILINE)
VERDICT, SAID = "verdict.txt", "said.txt"
LAST_LINES = 20

FOUND, NOT_FOUND, NOT_RUN = 0, 1, 2


class NoVerdict(Exception):
    """A run came to no verdict; the message tells of it, with what was said last."""


@dataclass(frozen=True)
class Hunted:
    """What came of the hunt for one bug. `seed`: at which it was found; None: at none."""

    bug: Bug
    seed: int | None
    runs: int
    broken: tuple[int, ...]
    seconds: float


def main() -> None:
    """Exit code 0 where every bug was found, 1 where one was not, 2 where a run came to no verdict."""
    asked = argparse.ArgumentParser(prog=".venv/bin/python -m chaos.hunt", description=__doc__)
    asked.add_argument("bugs", nargs="*", metavar="BUG", help=f"{', '.join(BUGS)}; all of them by default")
    asked.add_argument("--seeds", type=int, default=10, help="how many are tried at most (%(default)s)")
    asked.add_argument("--keep", type=Path, metavar="DIR", help="keep what each run left behind")
    chosen = asked.parse_args()
    if unknown := [name for name in chosen.bugs if name not in BUGS]:
        sys.exit(f"There is no bug {unknown[0]}. There are: {', '.join(BUGS)}.")
    try:
        hunted = [hunt(BUGS[name], chosen.seeds, chosen.keep) for name in chosen.bugs or BUGS]
    except NoVerdict as wrong:
        print(wrong)
        sys.exit(NOT_RUN)
    print("\n".join(table(hunted)))
    sys.exit(NOT_FOUND if any(one.seed is None for one in hunted) else FOUND)


def hunt(bug: Bug, seeds: int, keep: Path | None) -> Hunted:
    """Looks for one bug. Raises NoVerdict."""
    began, broken = time.monotonic(), tuple[int, ...]()
    for seed in range(1, seeds + 1):
        broken = one_run(bug, seed, keep)
        told = ", ".join(map(str, broken)) or "nothing"
        print(f"{bug.name}, seed {seed}: {told} broken after {time.monotonic() - began:.0f} s", flush=True)
        if set(broken) & set(bug.breaks):
            return Hunted(bug, seed, seed, broken, time.monotonic() - began)
    return Hunted(bug, None, seeds, broken, time.monotonic() - began)


def one_run(bug: Bug, seed: int, keep: Path | None) -> tuple[int, ...]:
    """-> the invariants that one run with this bug breaks"""
    if keep is not None:
        folder = keep.absolute() / f"{bug.name}-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        return run_in(folder, bug, seed)
    with tempfile.TemporaryDirectory(prefix="pressroom-hunt-") as name:
        return run_in(Path(name), bug, seed)


def run_in(folder: Path, bug: Bug, seed: int) -> tuple[int, ...]:
    """The run, with all that it leaves behind in this folder. Raises NoVerdict."""
    folder.chmod(0o711)  # Postgres's own user passes through
    with (folder / SAID).open("w") as said:
        running = subprocess.Popen(command(bug, seed, folder), cwd=ROOT, stdout=said, stderr=said, env=environment())
        try:
            running.wait(RUN_S_MAX)
        except subprocess.TimeoutExpired:
            running.terminate()  # it stops all that it started
            running.wait()
    verdict = folder / "run" / VERDICT
    told = verdict.read_text() if verdict.exists() else ""
    if not JUDGED.search(told):
        last = "\n".join(f"    {line}" for line in (folder / SAID).read_text().splitlines()[-LAST_LINES:])
        raise NoVerdict(f"{bug.name}, seed {seed}: the run came to no verdict. It said last:\n{last}")
    return tuple(sorted({int(number) for number in BROKEN.findall(told)}))


def environment() -> dict[str, str]:
    """The run finds this code, from wherever the hunt was started."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def command(bug: Bug, seed: int, folder: Path) -> list[str]:
    """One run of chaos with this bug."""
    asked = {
        "--seed": seed,
        "--workflows": bug.workflows,
        "--faults": ",".join(bug.faults),
        "--plant": bug.name,
        "--latency": LATENCY_S,
        "--patience": PATIENCE_S,
        "--keep": folder,
    }
    words = [word for name, value in asked.items() for word in (name, str(value))]
    return [sys.executable, "-P", "-m", "chaos", *words]


def table(hunted: Iterable[Hunted]) -> list[str]:
    """As the documentation has it."""
    return [
        "| bug | what it is | faults | found at seed | broken | seconds |",
        "|---|---|---|---|---|---|",
        *(
            f"| {one.bug.name} | {one.bug.says} | {', '.join(one.bug.faults)} | {one.seed or 'not found'} "
            f"| {', '.join(map(str, one.broken))} | {one.seconds:.0f} |"
            for one in hunted
        ),
    ]


if __name__ == "__main__":
    main()
