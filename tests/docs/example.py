"""A copy of the repository to which the worked examples of some pages are applied, and what is run in it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.source import ROOT, committed_files
from worked.example import blocks


@dataclass(frozen=True)
class Copy:
    """A copy of the repository. `changed`: the files that the documents have changed or made."""

    folder: Path
    changed: list[str]

    def run(self, *command: str) -> str:
        """Runs this with the copy's code and no other. -> what it said; fails with that where it fails"""
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=240
        )
        said = f"{done.stdout[-6000:]}{done.stderr[-3000:]}"
        assert done.returncode == 0, f"in the copy, {' '.join(command[1:])} ended with {done.returncode}:\n{said}"
        return done.stdout

    def python(self, program: str, *arguments: str) -> str:
        """Runs a program of some lines. -> what it printed"""
        return self.run(sys.executable, "-c", program, *arguments)

    def passes(self, *tests: str) -> str:
        """Runs these tests of the copy, one after the other. -> pytest's words"""
        return self.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n0", *tests)

    @property
    def changed_python(self) -> list[str]:
        return [file for file in self.changed if file.endswith(".py")]


def copy_with(folder: Path, documents: Sequence[str]) -> Copy:
    """A copy of the repository in this folder, with the blocks of these documents applied. Raises DoesNotApply."""
    for path in committed_files():
        there = folder / path.relative_to(ROOT)
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, there)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)  # tests ask git which files are ours
    todo = [block for document in documents for block in blocks(document)]
    for block in todo:
        block.apply(folder)
    return Copy(folder, list(dict.fromkeys(block.file for block in todo)))
