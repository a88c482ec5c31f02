"""How what happened is told, one line each: events, calls, faults, and what clients did."""

from collections.abc import Iterable

from chaos.checker.record import Record
from chaos.checker.shapes import Append, Call, Happening, Said
from chassis.jetstream_log import Entry
from contracts.envelope import Recorded
from contracts.events import AttemptFailed, Event, WorkClaimed, WorkflowFailed, WorkflowRequested
from contracts.websocket import work_concerned

Timed = tuple[float, str]
"""When, and what."""


def in_order(*told: Iterable[Timed]) -> list[str]:
    """What was told, in order of time."""
    return [line for _, line in sorted(one for group in told for one in group)]


def events(record: Record, recorded: Iterable[Recorded[Event]]) -> list[Timed]:
    """Events of the log."""
    return [(time_of(record, one), _at(record, time_of(record, one), _event(one))) for one in recorded]


def calls(record: Record, made: Iterable[Call]) -> list[Timed]:
    """Paid calls."""
    return [(call.began_at, _at(record, call.began_at, _call(record, call))) for call in made]


def faults(record: Record, happened: Iterable[Happening]) -> list[Timed]:
    """What was done to the system."""
    return [
        (one.at, _at(record, one.at, " ".join(filter(None, ("fault", one.phase, one.kind, one.target, one.detail)))))
        for one in happened
    ]


def clients(record: Record, said: Iterable[Said]) -> list[Timed]:
    """What clients did and saw."""
    return [(one.at, _at(record, one.at, _said(one))) for one in said]


def appends(record: Record, sent: Iterable[Append]) -> list[Timed]:
    """What went over the wire to the log."""
    return [(one.at, _at(record, one.at, _append(one))) for one in sent]


def entry(one: Entry) -> str:
    """A message of the log, as it stands there."""
    return f"position {one.position}  {one.subject}"


def time_of(record: Record, recorded: Recorded[Event]) -> float:
    """When the event was stored; by its writer's own clock where no proxy saw that."""
    return record.stored_at.get(recorded.id, recorded.recorded_at.timestamp())


def _at(record: Record, at: float, what: str) -> str:
    return f"{at - record.began_at:8.3f} s  {what}"


def _event(one: Recorded[Event]) -> str:
    event, work = one.event, work_concerned(one.event)
    told = [f"position {one.position}  revision {one.revision}  {event.type} by {one.service}"]
    if work:
        told.append(work.value)
    if not isinstance(event, WorkflowRequested):
        told.append(f"run {event.run}")
    if (attempt := getattr(event, "attempt", None)) is not None:
        told.append(f"attempt {attempt}")
    if isinstance(event, WorkClaimed):
        told.append(f"by {event.worker}")
    if isinstance(event, AttemptFailed):
        told.append(f"{event.error.code}, retry at {event.retry_at.isoformat()}")
    if isinstance(event, WorkflowFailed):
        told.append(event.error.code)
    return " ".join(told)


def _call(record: Record, call: Call) -> str:
    ended = "never ended" if call.ended_at is None else f"ended after {call.ended_at - call.began_at:.3f} s"
    told = [f"paid call {call.number} ({call.kind}{f' for {call.platform}' if call.platform else ''})", ended]
    if call.status or call.outcome:
        told.append(f"with {call.status or call.outcome}")
    if call.retry_after is not None:
        told.append(f"Retry-After {call.retry_after:g} s")
    return " ".join(told)


def _said(one: Said) -> str:
    named = {"id": one.client_request_id, "workflow": one.workflow_id, "status": one.status, "code": one.code}
    named |= {"after": one.after_revision, "revision": one.revision, "event": one.event}
    told = [f"{name} {value}" for name, value in named.items() if value is not None]
    return " ".join(filter(None, (one.client, one.op, one.phase, *told)))


def _append(one: Append) -> str:
    told = f"position {one.position}" if one.position is not None else str(one.error or "")
    return f"append {one.phase} {told} {one.subject} id {one.ce_id} by {one.process}".replace("  ", " ")
