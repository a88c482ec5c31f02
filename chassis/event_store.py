"""The event store as the services see it: read a history, append the next event, under one fence.

Two stores keep this contract (tests/chassis/test_store_contract.py holds both to it): JetStream's, and one in memory.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Protocol

from contracts.envelope import Recorded
from contracts.events import Event
from contracts.subjects import WorkflowKey
from contracts.workflow import Workflow, evolve, fold

Clock = Callable[[], datetime]
"""Gives the time as an aware datetime in UTC."""


EVENT_BYTES_MAX = 1024**2 - 8 * 1024
"""Of an event's body: one megabyte, as much as nats-server takes, less room for headers."""


def utc_now() -> datetime:
    """The time, by this machine's clock."""
    return datetime.now(UTC)


class Conflict(Exception):
    """Somebody appended to this history since it was read: read it again and decide anew."""


class OutcomeUnknown(Exception):
    """No answer came, so the event may stand in the log or not: read the history again and look for its id."""


class StoreUnavailable(Exception):
    """The log does not answer. Nothing is lost; try again later."""


class HistoryShort(StoreUnavailable):
    """The log answers, but with a history that lacks what it had stored: a replica lags, or the log has lost events."""


class LogFull(StoreUnavailable):
    """The log has reached the size it may have: it takes no events until its limit is raised."""


class EventTooLarge(Exception):
    """The event is larger than the log takes: no further try will help."""


class NotAllowed(Exception):
    """This service has no right to do that on the log: its user and the topology disagree."""


class HistoryDamaged(Exception):
    """The history has a gap or a repeat: the log has lost events or was written to around the fence."""


@dataclass(frozen=True)
class History:
    """One workflow's events, in order of revision, and the state that they fold to."""

    key: WorkflowKey
    recorded: tuple[Recorded[Event], ...] = ()

    @property
    def revision(self) -> int:
        """The number of events; 0 for a workflow that does not exist."""
        return len(self.recorded)

    @property
    def position(self) -> int:
        """Where its last event stands in the log; 0 without events. The next append is fenced by it."""
        return self.recorded[-1].position if self.recorded else 0

    @cached_property
    def state(self) -> Workflow:
        """The workflow that these events fold to."""
        return fold(recorded.event for recorded in self.recorded)

    def find(self, event_id: str) -> Recorded[Event] | None:
        """The event with this id, or None."""
        return next((recorded for recorded in reversed(self.recorded) if recorded.id == event_id), None)

    def then(self, recorded: Recorded[Event]) -> "History":
        """This history and one more event."""
        after = replace(self, recorded=(*self.recorded, recorded))
        after.__dict__["state"] = evolve(self.state, recorded.event)  # one step instead of a whole fold
        return after


def as_history(key: WorkflowKey, recorded: list[Recorded[Event]]) -> History:
    """These events as a history. Raises HistoryDamaged unless their revisions are 1..n and their positions rise."""
    recorded = sorted(recorded, key=lambda one: one.revision)
    if [one.revision for one in recorded] != list(range(1, len(recorded) + 1)):
        raise HistoryDamaged(f"{key.workflow_id}: revisions are {[one.revision for one in recorded][:50]}")
    if any(after.position <= before.position for before, after in itertools.pairwise(recorded)):
        raise HistoryDamaged(f"{key.workflow_id}: positions do not rise")
    return History(key, tuple(recorded))


def check_size(event: Event, body: bytes) -> None:
    """Raises EventTooLarge. Asked before sending: the server would close the connection, and with it all other work."""
    if len(body) > EVENT_BYTES_MAX:
        raise EventTooLarge(f"{event.type} would have {len(body):,} bytes; the log takes {EVENT_BYTES_MAX:,} at most")


class EventStore(Protocol):
    """The log, for one service: what it appends is written under its own name."""

    async def read(self, key: WorkflowKey, *, reach: int = 0) -> History:
        """The history of one workflow, at least up to revision `reach` (a replica may lag: it is read again then).

        Raises StoreUnavailable, HistoryDamaged, or UnreadableEvent for an event that this code cannot read.
        """
        ...

    async def append(self, history: History, event: Event, *, id: str, cause: str | None = None) -> Recorded[Event]:
        """Appends the event right behind this history, or not at all.

        Raises Conflict (somebody was first), OutcomeUnknown, StoreUnavailable, LogFull, EventTooLarge, NotAllowed.
        """
        ...
