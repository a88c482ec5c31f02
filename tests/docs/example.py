"""The worked example of a document: its blocks, and a copy of the repository to which they are applied one by one.

A document says what to do with a block in the line before it:

    In `contracts/works.py`:             a ```diff block: lines with + come, lines with - go, the others are there
    New file `services/tea/stage.py`:    the whole file
    At the end of `contracts/tea.py`:    what is added there, after two empty lines

Blocks of differences carry no line numbers: their lines have to be found once, in this order, wherever that is. So an
edit elsewhere in the file does not break the document, and a reader can apply them by hand.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.source import ROOT, committed_files

DOCS = ROOT / "docs"
BLOCK = re.compile(
    r"^(?P<how>In|New file|At the end of) `(?P<file>[^`]+)`:\n\n```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class DoesNotApply(Exception):
    """A block of a document does not fit the repository as it is now; the document has to follow the code."""


@dataclass(frozen=True)
class Block:
    """One block: the `number`-th of its document, and what is to be done with it in which file."""

    document: str
    number: int
    how: str
    file: str
    text: str

    def apply(self, folder: Path) -> None:
        """Does to the copy in this folder what the document says. Raises DoesNotApply."""
        path = folder / self.file
        if (self.how == "New file") == path.exists():
            raise self.misfit("the file is there already" if path.exists() else "there is no such file")
        path.parent.mkdir(parents=True, exist_ok=True)
        match self.how:
            case "New file":
                path.write_text(self.text)
            case "At the end of":
                path.write_text(f"{path.read_text()}\n\n{self.text}")
            case _:
                path.write_text(self._changed(path.read_text()))

    def _changed(self, text: str) -> str:
        for before, after in hunks(self.text):
            found = f"\n{text}".count(f"\n{before}")
            if found != 1:
                raise self.misfit(f"these lines are there {found} times, and not once:\n{before}")
            text = f"\n{text}".replace(f"\n{before}", f"\n{after}")[1:]
        return text

    def misfit(self, why: str) -> DoesNotApply:
        """Names the block and the file."""
        return DoesNotApply(f"{self.document}, block {self.number} ({self.how} {self.file}): {why}")


def hunks(difference: str) -> Iterator[tuple[str, str]]:
    """-> the lines as they are, and as they will be; a line with @@ ends one such place and begins the next"""
    for place in re.split(r"^@@.*\n", difference, flags=re.MULTILINE):
        lines = place.splitlines(keepends=True)
        before = [line[1:] or "\n" for line in lines if not line.startswith("+")]
        after = [line[1:] or "\n" for line in lines if not line.startswith("-")]
        yield "".join(before), "".join(after)


def blocks(document: str) -> list[Block]:
    """What the document has its reader do, in order."""
    found = BLOCK.finditer((DOCS / document).read_text())
    return [
        Block(f"docs/{document}", number, one["how"], one["file"], one["text"])
        for number, one in enumerate(found, start=1)
    ]


def fences(document: str) -> int:
    """How many blocks of code the document has that are to be applied, by their languages."""
    return len(re.findall(r"^```(?:diff|python|json|markdown)$", (DOCS / document).read_text(), re.MULTILINE))


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
