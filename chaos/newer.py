"""A newer release of the services, as a folder of code: today's, with the worked example of docs/changing-an-event.md.

Its gateway writes a version of `workflow-requested` that today's code cannot read; it reads all that today's wrote.
"""

import os
import shutil
from pathlib import Path

from local.services import ROOT
from worked.example import blocks

NEWER = "newer"
"""What its folder is called in the directory of a run."""

PAGE = "changing-an-event.md"
ROOMS = ("contracts", "chassis", "services", "tests/contracts")
"""What a process of a service is made of, and where the page has its reader put the example's tests."""


def make(folder: Path) -> None:
    """Makes the release, once. Raises DoesNotApply where the page no longer fits the code."""
    if folder.exists():
        return
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    for room in ROOMS:
        shutil.copytree(ROOT / room, unfinished / room, ignore=shutil.ignore_patterns("__pycache__"))
    for block in blocks(PAGE):
        block.apply(unfinished)
    unfinished.rename(folder)


def python_path(folder: Path) -> str:
    """Where Python is to look for code: where there is a newer release, its services, and all else as it is today."""
    return os.pathsep.join(map(str, (folder, ROOT) if folder.exists() else (ROOT,)))
