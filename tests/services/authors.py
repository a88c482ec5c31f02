"""An author that answers what it is told, or fails as it is told, and remembers what it was asked."""

from collections.abc import Iterable

from chassis.model import Say, Written
from chassis.stage import WorkFailed
from tests.services.attempts import USAGE


class Author:
    """Gives these texts, or fails in these ways, one after the other; the last one again and again."""

    def __init__(self, *answers: str | WorkFailed) -> None:
        self._answers: Iterable[str | WorkFailed] = iter(answers)
        self._last: str | WorkFailed = ""
        self.instructions: list[str] = []
        self.inputs: list[str] = []

    @property
    def calls(self) -> int:
        return len(self.inputs)

    async def write(self, *, instructions: str, input: str, say: Say | None = None) -> Written:
        self.instructions.append(instructions)
        self.inputs.append(input)
        self._last = next(iter(self._answers), self._last)
        if isinstance(self._last, WorkFailed):
            raise self._last
        return Written(self._last, USAGE)
