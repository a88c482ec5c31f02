"""The command: .venv/bin/python -m chaos.checker DIR

Exit code 0: all invariants hold. 1: one does not. 2: the run left too little behind to say.
"""

import argparse
import os
import sys
from pathlib import Path

from chaos.checker.bounds import check_back, check_let_go
from chaos.checker.invariants import CHECKS
from chaos.checker.record import CannotBeChecked, read_record
from chaos.checker.report import words
from chaos.checker.times import check_losses, check_returns

VERDICT = "verdict.txt"

FAULTS = (check_returns, check_losses, check_let_go, check_back)
"""What is stated of single faults, by their numbers."""

NEWER = "newer"
"""The code of a newer release, which the services of this run came to be."""

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Checks one run, prints what was found, and leaves it in the run's directory."""
    asked = argparse.ArgumentParser(prog=".venv/bin/python -m chaos.checker", description=__doc__)
    asked.add_argument("folder", type=Path, metavar="DIR", help="what a run of chaos left behind")
    folder: Path = asked.parse_args().folder
    _read_as_the_last_release_did(folder / NEWER)
    code, told = verdict(folder)
    text = "\n".join(told) + "\n"
    if folder.is_dir():
        (folder / VERDICT).write_text(text)
    print(text, end="")
    sys.exit(code)


def _read_as_the_last_release_did(newer: Path) -> None:
    """Begins anew with the newer release's code, if the run ended with one: today's could not read its events."""
    path = os.pathsep.join((str(newer.absolute()), str(ROOT)))
    if newer.is_dir() and os.environ.get("PYTHONPATH") != path:
        os.environ["PYTHONPATH"] = path
        os.execv(sys.executable, [sys.executable, "-P", "-m", "chaos.checker", *sys.argv[1:]])  # noqa: S606


def verdict(folder: Path) -> tuple[int, list[str]]:
    """-> the exit code, and what is said"""
    try:
        record = read_record(folder)
        findings = [check(record) for check in (*CHECKS, *FAULTS)]
        return int(any(one.violations for one in findings)), words(record, findings)
    except CannotBeChecked as wrong:
        return 2, [f"It cannot be checked: {wrong}."]


if __name__ == "__main__":
    main()
