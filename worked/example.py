"""The worked example of a page: its blocks, and how they are applied, one by one, to a copy of the code.

A page says what to do with a block in the line before it:

    In `contracts/works.py`:             a ```diff block: lines with + come, lines with - go, the others are there
    New file `services/tea/stage.py`:    the whole file
    At the end of `contracts/tea.py`:    what is added there, after two empty lines

Blocks of differences carry no line numbers: their lines have to be found once, in this order, wherever that is. So an
edit elsewhere in the file does not break the page, and a reader can apply them by hand.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
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
