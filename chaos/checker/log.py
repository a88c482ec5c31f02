"""The log of a run: its messages, and of each workflow the history that they make."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from chassis.jetstream_log import Entry
from contracts.envelope import Recorded, UnreadableEvent, decode
from contracts.events import (
    Event,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRequested,
    WorkflowResumed,
)
from contracts.subjects import WorkflowKey, whose

OPENING = (WorkflowRequested, WorkflowResumed)
CLOSING = (WorkflowCompleted, WorkflowFailed, WorkflowCancelled)


@dataclass(frozen=True)
class Story:
    """One workflow. `recorded`: its events up to the first that no code here can read; `unreadable`: that one."""

    key: WorkflowKey
    entries: tuple[Entry, ...]

    @cached_property
    def _read(self) -> tuple[list[Recorded[Event]], Entry | None]:
        recorded: list[Recorded[Event]] = []
        for entry in self.entries:
            try:
                recorded.append(decode(entry.subject, entry.headers, entry.body, position=entry.position))
            except UnreadableEvent:
                return recorded, entry
        return recorded, None

    @property
    def recorded(self) -> list[Recorded[Event]]:
        """The events that can be read, in order of position."""
        return self._read[0]

    @property
    def unreadable(self) -> Entry | None:
        """The first event that cannot be read; the projector holds the workflow from there on."""
        return self._read[1]

    @property
    def request(self) -> WorkflowRequested | None:
        """What was asked for."""
        first = self.recorded[0].event if self.recorded else None
        return first if isinstance(first, WorkflowRequested) else None

    @property
    def closing(self) -> Recorded[Event] | None:
        """The event that closed the last run; None where that run is open."""
        turn = next((one for one in reversed(self.recorded) if isinstance(one.event, OPENING + CLOSING)), None)
        return turn if turn and isinstance(turn.event, CLOSING) else None


def stories(entries: Iterable[Entry]) -> Mapping[WorkflowKey, Story]:
    """The workflows, in the order in which the log begins to tell of them."""
    told: dict[WorkflowKey, list[Entry]] = {}
    for entry in entries:
        told.setdefault(whose(entry.subject), []).append(entry)
    return {key: Story(key, tuple(found)) for key, found in told.items()}
