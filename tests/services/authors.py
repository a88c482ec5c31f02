"""An author that answers what it is told, and remembers what it was asked."""

from collections.abc import Iterable

from chassis.model import Say, Written
from tests.services.attempts import USAGE


class Author:
    """Gives these texts one after the other; the last one again and again."""

    def __init__(self, *texts: str) -> None:
        self._texts: Iterable[str] = iter(texts)
        self._last = ""
        self.instructions: list[str] = []
        self.inputs: list[str] = []

    @property
    def calls(self) -> int:
        return len(self.inputs)

    async def write(self, *, instructions: str, input: str, say: Say | None = None) -> Written:
        self.instructions.append(instructions)
        self.inputs.append(input)
        self._last = next(iter(self._texts), self._last)
        return Written(self._last, USAGE)
