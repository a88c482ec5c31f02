"""Moments: what can be seen in the bytes between a process and its servers, and traps that wait for one of them.

What a process says is passed on, what it is told is held back, until all that waits for the moment has been done. So a
process that is killed when an append is `stored` never hears of it, and one that is killed when a call was `called`
has surely sent it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Point(StrEnum):
    """Where in its work a process is, as the wire shows it."""

    PULLING = "pulling"
    """It asks the log for a delivery."""
    DELIVERED = "delivered"
    """A delivery is on its way to it."""
    SETTLING = "settling"
    """It acks or naks a delivery."""
    IN_PROGRESS = "in progress"
    """It says that it still works on a delivery."""
    APPENDING = "appending"
    """It has sent an event."""
    STORED = "stored"
    """The log has stored its event and is about to tell it."""
    REFUSED = "refused"
    """The log has refused its event and is about to tell it."""
    CALLING = "calling"
    """It has sent a whole request to the model."""
    ANSWERING = "answering"
    """The first bytes of the model's answer are on their way."""
    ANSWERED = "answered"
    """The last bytes of the model's answer are on their way."""
    UPLOADING = "uploading"
    """It begins to upload an object."""
    UPLOADED = "uploaded"
    """The object store has taken the object in and is about to tell it."""
    FETCHED = "fetched"
    """The last bytes of an object are on their way to it."""
    BEFORE_COMMIT = "before its commit"
    """It has done all of a transaction, and its COMMIT is held back."""
    COMMITTING = "committing"
    """It has sent a COMMIT to Postgres."""


SAID = {
    Point.PULLING,
    Point.SETTLING,
    Point.IN_PROGRESS,
    Point.APPENDING,
    Point.CALLING,
    Point.UPLOADING,
    Point.COMMITTING,
}
"""What a process says; the others it is told, but for what is held back before it is said."""


class Cuttable(Protocol):
    """The connection on which a moment was seen."""

    cut_after: int | None
    """So many bytes more from the process, then it breaks."""
    says_wrong: int | None
    """In the next piece from the process, a bit of this byte is changed, or of the last one."""
    hears_wrong: int | None
    """The same, in the next piece to the process."""

    def cut(self) -> None:
        """Breaks it at once, with a reset."""
        ...


@dataclass(frozen=True)
class Moment:
    """One thing that was seen, of which process, and what it is about."""

    point: Point
    process: str
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(eq=False)
class Trap:
    """Waits for the nth moment of a kind, and then acts, in the midst of it.

    `target` is a process (`writer-1`), a service (`writer`, any process of it), or empty for any. `only` says which
    moments count.
    """

    target: str
    point: Point
    act: Callable[[Moment, Cuttable], None]
    nth: int = 1
    only: Callable[[Moment], bool] = lambda _: True
    seen: int = 0
    sprung: "asyncio.Future[Moment]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def meets(self, moment: Moment, line: Cuttable) -> None:
        """Looks at a moment, and acts when it is the one."""
        if self.sprung.done() or moment.point != self.point or not self._is_of(moment.process) or not self.only(moment):
            return
        self.seen += 1
        if self.seen == self.nth:
            self.sprung.set_result(moment)
            self.act(moment, line)

    def _is_of(self, process: str) -> bool:
        return self.target in ("", process, process.rpartition("-")[0])


class Board:
    """Where every moment is told: counted, handed to the traps and to whoever listens."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[str, Point]] = Counter()
        self.listeners: list[Callable[[Moment], None]] = []
        self._traps: list[Trap] = []

    def tell(self, moment: Moment, line: Cuttable) -> None:
        """Does at once, without giving way to anything else, what waits for this moment."""
        self.counted[moment.process, moment.point] += 1
        for listen in self.listeners:
            listen(moment)
        for trap in [*self._traps]:
            trap.meets(moment, line)

    async def spring(self, trap: Trap, within_s: float) -> Moment | None:
        """Waits until the trap has sprung. -> the moment; None where it did not come in time"""
        self._traps.append(trap)
        try:
            async with asyncio.timeout(within_s):
                return await trap.sprung
        except TimeoutError:
            return None
        finally:
            self._traps.remove(trap)
