"""Messages of the log: unreadable by name, or an event that is written, told and projected without a hitch.

An input is subject, id, time and cause, a line each, and then the body.
"""

import json
from collections.abc import Iterable

from chassis.jetstream_log import Entry
from contracts.envelope import CAUSE, ID, TIME, Recorded, UnreadableEvent, decode, encode
from contracts.events import WorkflowRequested
from contracts.old_dialect import OldDialect
from contracts.platforms import Platform
from contracts.subjects import EventSubject, WorkflowKey, whose
from contracts.upcasters import upcast
from contracts.websocket import event_frame
from fuzz.targets.golden import NOON, golden
from services.projector.batch import fold, steps
from services.projector.tables import TABLES

REQUEST = Recorded(
    event=WorkflowRequested(topic="Tea", research=True, platforms=(Platform.X,)),
    id="e0",
    key=WorkflowKey("local", "w1"),
    service="gateway",
    revision=1,
    position=1,
    recorded_at=NOON,
)


def attempt(data: bytes) -> None:
    """Reads the message as everybody does who reads the log."""
    subject, headers, body = taken_apart(data)
    try:
        recorded = decode(subject, headers, body, position=7)
    except UnreadableEvent:
        recorded = None
    project(Entry(7, subject, headers, body))
    if recorded is None:
        return
    again, written = encode(
        recorded.event, id=recorded.id, service=recorded.service, recorded_at=recorded.recorded_at, cause=recorded.cause
    )
    where = EventSubject(recorded.key, recorded.service, recorded.event.type, recorded.revision)
    assert decode(str(where), again, written, position=7) == recorded
    assert json.loads(event_frame(recorded).text())["revision"] == recorded.revision
    dialect = OldDialect()
    for one in (REQUEST, recorded):  # every history begins with a request
        for frame in dialect.frames(one):
            json.loads(frame.text())
    shape = json.loads(written)
    assert upcast(recorded.event.type, shape) == shape  # today's shape is led nowhere


def project(entry: Entry) -> None:
    """What the projector makes of it: rows, or a workflow that is held; never anything else."""
    if entry.subject.count(".") < 3:  # the stream takes no shorter subject
        return
    batch = fold(steps([entry]), TABLES, {}, {}, {})
    assert batch.applied + batch.left_out == 1
    assert not batch.held or whose(entry.subject) in batch.held


def taken_apart(data: bytes) -> tuple[str, dict[str, str], bytes]:
    """The parts of an input; a line that is missing is a header that is missing."""
    lines = data.split(b"\n", 4)
    subject, *told = (line.decode(errors="replace") for line in lines[:4])
    names = (ID, TIME, CAUSE)
    headers = {name: value for name, value in zip(names, told, strict=False) if value}
    return subject, headers, lines[4] if len(lines) == 5 else b""


def seeds() -> Iterable[bytes]:
    """Every shape that was ever stored."""
    for name, body in golden():
        subject = str(EventSubject(WorkflowKey("local", "w1"), "gateway", name, 1))
        yield b"\n".join([subject.encode(), b"e1", NOON.isoformat().encode(), b"e0", body])
    yield b"\n".join([b"workflow.local.w1.writer.blog-written.1", b"e1", b"2027-03-01T12:00:00", b"", b"[" * 3_000])
