"""Given a run in which all holds, and one thing in it that is different: what does the checker say?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

from chaos.checker.finding import Finding
from chaos.checker.log import stories
from chaos.checker.record import Record, Row, Text, event_id
from chaos.checker.shapes import (
    Answer,
    Append,
    Call,
    Canaries,
    Checkpoint,
    Consumer,
    Happening,
    LogState,
    Object,
    Plan,
    Resources,
    Said,
    Seen,
)
from chassis.jetstream_log import Entry
from contracts.envelope import encode
from contracts.events import Artefact, AttemptFailed, Event, IllustrationDrawn, WorkflowFailed, work_of
from contracts.services import STAGES
from contracts.subjects import EventSubject, WorkflowKey
from contracts.websocket import describe
from contracts.works import Kind, Work
from services.projector.archive import digest
from services.projector.verify.books import readable
from services.projector.verify.slow_fold.rows import KEYS, rows_of
from tests.contracts.given import NOON, blog_written, claimed, completed, drawn, posted, requested, writer_of

EPOCH = "epoch-1"
WORKFLOW = "0195-tea"
BEGAN = NOON.timestamp()
CALLERS = {
    Kind.RESEARCH: "research-1",
    Kind.BLOG: "writer-1",
    Kind.SOCIAL: "writer-1",
    Kind.ILLUSTRATION: "illustrator-1",
}
KIND = {"research": ("research",), "blog": ("blog",), "illustration": ("scene", "image")}

WHOLE: tuple[Event, ...] = (
    requested(),
    claimed("blog"),
    blog_written(),
    claimed("social:linkedin"),
    posted(),
    claimed("illustration"),
    drawn(),
    completed(),
)
"""A workflow from its request to its end, with nothing in its way."""


def at(revision: float) -> float:
    """When the event of this revision was stored: one every ten seconds."""
    return BEGAN + 10 * revision


# ---------------------------------------------------------------- a run


def entries(events: Sequence[Event], *, workflow: str = WORKFLOW, behind: int = 0, **headers: str) -> list[Entry]:
    """These events as the log holds them behind a position."""
    key, told = WorkflowKey("local", workflow), list[Entry]()
    for revision, event in enumerate(events, start=1):
        service = writer_of(event)
        found, body = encode(
            event,
            id=f"{workflow}-{revision}",
            service=service,
            recorded_at=NOON + timedelta(seconds=10 * revision),
            cause=f"{workflow}-{revision - 1}" if revision > 1 and service != "gateway" else None,
        )
        subject = str(EventSubject(key, service, event.type, revision))
        told.append(Entry(behind + revision, subject, found | headers, body))
    return told


def a_run(events: Sequence[Event] = WHOLE, **different: Any) -> Record:
    """A run of one workflow with these events, in which everything else is as it has to be."""
    return a_run_of(entries(events), **different)


def a_run_of(log: Sequence[Entry], **different: Any) -> Record:
    """A run that left this log behind, in which everything else is as it has to be."""
    last = len(log)
    told: dict[str, Any] = {
        "plan": Plan(seed=1, workflows=1, faults=()),
        "happened": [happening("calm", at(1)), happening("end", at(60))],
        "clients": [*asked(log), *watched(log), *operated(log), bound(3.0)],
        "appends": [one for entry in log for one in appended(entry)],
        "calls": different.get("calls", paid(log)),
        "log": log,
        "log_states": {"log": LogState(epoch=EPOCH, first=1, last=last, count=last)},
        "archive": [(entry, digest(entry).hex()) for entry in log],
        "tables": tables(log),
        "checkpoint": Checkpoint(generation=1, epoch=EPOCH, position=last, applied=last, held=0),
        "checkpoints": [Seen(at=at(n), generation=1, epoch=EPOCH, position=n) for n in range(last + 1)],
        "objects": pictures(log),
        "consumers": {stage: Consumer(pending=0, ack_pending=0) for stage in STAGES},
        "resources": [held("before"), held("after")],
        "canaries": Canaries(key="canary-key-7", prompt="canary-prompt-7"),
        "texts": [Text("logs/writer-1.log", "ready")],
    }
    told["answers"] = seen(told["calls"])
    return Record(**{**told, **different})


def asked(log: Sequence[Entry], *, request_id: str | None = None) -> list[Said]:
    """Each workflow's request, and that it was accepted."""
    told: list[Said] = []
    for number, story in enumerate(stories(log).values(), start=1):
        if story.request:
            body = {"topic": story.request.topic, "platforms": [*map(str, story.request.platforms)]}
            name = request_id or story.request.client_request_id
            told.append(said("request", "invoked", id=number, body=body, client_request_id=name))
            told.append(said("request", "ok", id=number, workflow_id=story.key.workflow_id, status=202))
    return told


def watched(log: Sequence[Entry], *, client: str = "client-1", after: int = 0) -> list[Said]:
    """A client that watches each workflow to its end."""
    told: list[Said] = []
    for story in stories(log).values():
        told.append(said("attach", client=client, workflow_id=story.key.workflow_id, after_revision=after))
        for one in story.recorded[after:]:
            shown = describe(one)
            told.append(
                said(
                    "frame",
                    client=client,
                    at=at(one.revision),
                    workflow_id=story.key.workflow_id,
                    revision=one.revision,
                    event=shown["event"],
                    event_id=shown["id"],
                    data=shown["data"],
                )
            )
        told.append(said("closed", client=client, workflow_id=story.key.workflow_id, code=1000))
    return told


def said(op: str, phase: Any = None, *, client: str = "client-1", at: float = BEGAN, **told: Any) -> Said:
    """One line of a client."""
    return Said(at=at, client=client, op=op, phase=phase, **told)


def operated(
    log: Sequence[Entry],
    *,
    before: Mapping[str, str] | None = None,
    after: Mapping[str, str] | None = None,
    position: int | None = None,
    code: int | None = None,
) -> list[Said]:
    """What the operator saw parked at a position, by workflow; the redrive; what was parked in the end."""
    held = {key.workflow_id: "held" for key, story in stories(log).items() if story.unreadable}
    first = held if before is None else before
    return [
        listed("before", len(log) if position is None else position, first),
        said("redrive", "ok", client="operator", status=int(bool(held)) if code is None else code, data={"said": "so"}),
        listed("after", len(log), held if after is None else after),
    ]


def listed(when: str, position: int, parked: Mapping[str, str]) -> Said:
    """One list of what is parked."""
    items = [{"workflow_id": workflow_id, "kind": kind} for workflow_id, kind in parked.items()]
    return said("parked", "ok", client="operator", data={"when": when, "position": position, "items": items})


def bound(took_s: float, phase: Any = "ok", *, client: str = "hostile-sockets-3", needs_log: bool = False) -> Said:
    """How long something took that may take ten seconds."""
    data = {"what": "a socket is closed: never reads", "bound_s": 10.0, "took_s": took_s, "needs_log": needs_log}
    return said("bound", phase, client=client, at=at(4), data=data)


def appended(entry: Entry) -> list[Append]:
    """How an event came into the log: sent, and acknowledged."""
    told: dict[str, Any] = {
        "process": "writer-1",
        "subject": entry.subject,
        "ce_id": event_id(entry),
        "sha256": sha256(entry.body).hexdigest(),
    }
    when = at(int(entry.subject.rpartition(".")[2]))
    return [
        Append(at=when - 0.01, phase="sent", **told),
        Append(at=when, phase="acked", position=entry.position, **told),
    ]


def paid(log: Sequence[Entry]) -> list[Call]:
    """One call of each kind for each answered attempt, between its claim and its answer."""
    made: list[Call] = []
    for story in stories(log).values():
        for one in story.recorded:
            match one.event:
                case Artefact():
                    work = work_of(one.event)
                case AttemptFailed() | WorkflowFailed():
                    work = one.event.work
                case _:
                    continue
            made += [call(kind, at(one.revision) - 5, number=len(made) + 1, work=work) for kind in _kinds(work)]
    return made


def _kinds(work: Work) -> tuple[str, ...]:
    return KIND.get(work, ("social",))


def call(
    kind: str,
    began_at: float,
    *,
    number: int = 1,
    work: Work = Work.BLOG,
    topic: str = "The history of tea",
    **told: Any,
) -> Call:
    """A paid call that takes two seconds."""
    platform = {"linkedin": "LinkedIn", "x": "X"}[str(work.platform)] if kind == "social" else None
    return Call.model_validate(
        {"number": number, "kind": kind, "topic": topic, "platform": platform, "began_at": began_at}
        | {"ended_at": began_at + 2, "outcome": "answered", "question": f"{kind} {platform}"}
        | {"call": f"{CALLERS[work.kind]}.{kind}.{began_at}", **told}
    )


def seen(calls: Sequence[Call]) -> list[Answer]:
    """What the proxies saw of these calls: each asked for, and each answer sent on to the process that asked."""
    told: list[Answer] = []
    for one in calls:
        name = str(one.call)
        process = name.partition(".")[0]
        told.append(Answer(at=one.began_at, process=process, call=name, phase="asked"))
        if one.outcome == "answered" and one.ended_at is not None:
            told.append(Answer(at=one.ended_at, process=process, call=name, phase="answered", status=200))
    return told


def pictures(log: Sequence[Entry]) -> list[Object]:
    """The object of every picture that the log tells of."""
    events = [one.event for story in stories(log).values() for one in story.recorded]
    return [
        Object(
            key=drawn.key,
            sha256=drawn.sha256,
            size=drawn.bytes,
            content_type=drawn.content_type,
            width=drawn.width,
            height=drawn.height,
        )
        for drawn in events
        if isinstance(drawn, IllustrationDrawn)
    ]


def tables(log: Sequence[Entry]) -> dict[str, list[Row]]:
    """The rows that the slow fold tells, as a file has them."""
    found: dict[str, list[Row]] = {name: [] for name in KEYS}
    for story in stories(log).values():
        for name, rows in rows_of(readable(story.entries)[0]).items():
            found[name] += [
                {column: value.isoformat() if hasattr(value, "isoformat") else value for column, value in row.items()}
                | {"search": "generated"}
                for row in rows
            ]
    return found


def happening(kind: str, at: float, **told: Any) -> Happening:
    """Something that was done to the system."""
    return Happening(at=at, kind=kind, **told)


def held(when: Any, **different: Any) -> Resources:
    """What a process holds."""
    usual = {"process": "writer-1", "pid": 7, "rss_bytes": 80 * 1024**2, "files": 20, "threads": 5, "load": on_hand()}
    return Resources.model_validate({"when": when, **usual, **different})


def on_hand(tasks: int = 60, deliveries: int = 0) -> dict[str, Any]:
    """What a process says that it has on its hands."""
    return {"tasks": tasks, "queues": {"deliveries": {"length": deliveries, "most": 16}}}


# ---------------------------------------------------------------- what is said of it


def holds(check: Callable[[Record], Finding], record: Record) -> Finding:
    """The invariant holds, and something was looked at."""
    found = check(record)
    assert not found.violations, "\n".join(found.words())
    assert not found.is_idle
    return found


def breaks(check: Callable[[Record], Finding], record: Record, what: str) -> Finding:
    """The invariant is broken, and one of the reasons is this."""
    found = check(record)
    reasons = [violation.what for violation in found.violations]
    assert any(what in reason for reason in reasons), reasons
    return found


def changed(entry: Entry, **different: Any) -> Entry:
    """A message that differs in this."""
    return replace(entry, **different)
