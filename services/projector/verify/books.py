"""The projector's books: how far it came, which workflows it holds, and what of that the log contradicts. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chassis.jetstream_log import Entry
from contracts.envelope import Recorded, UnreadableEvent, decode
from contracts.events import Event, WorkflowRequested
from contracts.subjects import WorkflowKey, storable
from services.projector.verify.wording import line, short


@dataclass(frozen=True)
class Hold:
    """A workflow that is held, as the quarantine has it."""

    position: int
    subject: str
    error: str
    events: int


@dataclass(frozen=True)
class Books:
    """What the projector says of the live tables, and which workflows it holds."""

    generation: int
    epoch: str
    position: int
    applied: int
    held: int
    quarantine: Mapping[WorkflowKey, Hold]


@dataclass(frozen=True)
class Unfit:
    """The first event of a workflow that cannot be applied, and why."""

    position: int
    why: str


def counter_differences(books: Books) -> Iterator[str]:
    """Where the numbers of applied and of held events do not add up."""
    listed = sum(hold.events for hold in books.quarantine.values())
    if books.applied + books.held != books.position:
        yield f"{books.applied} applied and {books.held} held events are not the {books.position} of the log"
    if books.held != listed:
        yield f"counts {books.held} held events, the quarantine lists {listed}"


def readable(entries: Sequence[Entry]) -> tuple[list[Recorded[Event]], Unfit | None]:
    """A workflow's events up to the first that cannot be applied, and that one, where there is one."""
    history: list[Recorded[Event]] = []
    for entry in entries:
        try:
            recorded = decode(entry.subject, entry.headers, entry.body, position=entry.position)
        except UnreadableEvent as wrong:
            return history, Unfit(entry.position, str(wrong))
        if recorded.revision != len(history) + 1:
            return history, Unfit(entry.position, f"revision {recorded.revision} follows revision {len(history)}")
        if not history and not isinstance(recorded.event, WorkflowRequested):
            return history, Unfit(entry.position, f"its first event is {recorded.event.type}")
        history.append(recorded)
    return history, None


def quarantine_differences(entries: Sequence[Entry], unfit: Unfit | None, hold: Hold | None) -> Iterator[str]:
    """What is wrong with a workflow's being held, or not."""
    if hold is None:
        if unfit:
            yield f"it is not held, but position {unfit.position} cannot be applied: {line(unfit.why)}"
        return
    if unfit and unfit.position < hold.position:
        yield f"it is held from position {hold.position} on, but {unfit.position} cannot be applied: {line(unfit.why)}"
    first = next((entry for entry in entries if entry.position == hold.position), None)
    if first is None:
        yield f"it is held from position {hold.position} on, where none of its events stands"
    elif storable(first.subject) != hold.subject:
        yield f"it names the subject {short(hold.subject)}; at {hold.position} stands {short(first.subject)}"
    events = sum(entry.position >= hold.position for entry in entries)
    if events != hold.events:
        yield f"it counts {hold.events} held events, there are {events}"
