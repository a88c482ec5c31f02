"""What is told of a run: its steps, the first thing that broke, and the hash of all that happened."""

import hashlib
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from contracts.envelope import Recorded
from contracts.events import Event

Tell = Callable[[int | None, str], None]
"""Is told every step as a line, with the number of its workflow, where it is of one."""


BUG: ContextVar[str | None] = ContextVar("BUG", default=None)
"""The bug that is planted at the moment. See planted.py."""


@dataclass(frozen=True)
class Violation:
    """What broke first, in which workflow, and its history until then."""

    seed: int
    what: str
    workflow: int | None
    history: tuple[str, ...]
    bug: str | None

    def __str__(self) -> str:
        of = "" if self.workflow is None else f", workflow {self.workflow}"
        only = "" if self.workflow is None else f" --workflow {self.workflow}"
        bug = "" if self.bug is None else f' --bug "{self.bug}"'
        again = f"replay it with: .venv/bin/python -m tests.simulation.replay {self.seed}{only}{bug}"
        return "\n".join([f"seed {self.seed}{of}: {self.what}", *(f"    {line}" for line in self.history), again])


class Trace:
    """The hash of all that happened in a run: two runs of a seed give the same."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def __call__(self, _: int | None, line: str) -> None:
        self._hash.update(line.encode())

    def __str__(self) -> str:
        return self._hash.hexdigest()


def words(recorded: Recorded[Event]) -> str:
    """An event in a line: its revision, its type, and what it is about."""
    told = ("work", "run", "attempt", "platform", "worker", "retry_at")
    about = [f"{name}={value}" for name in told if (value := getattr(recorded.event, name, None)) is not None]
    return " ".join([str(recorded.revision), recorded.event.type, *about])
