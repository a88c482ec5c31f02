"""The subjects: where an event stands and where it is heard. The only file that knows their grammar.

workflow.<owner>.<workflow_id>.<service>.<event>.<revision>      the log: each subject is written once
live.workflow.<owner>.<workflow_id>.…                            the same, republished at once to whoever listens
live.workflow.<owner>.<workflow_id>.delta.<stage>                text while a model still writes; never in the log
presence.<service>                                               a process says that it is there; never in the log
restore.<the subject of an event>                                how a log that is closed is filled from its archive
refold                                                           a held workflow is to be folded again
"""

import hashlib
import re
from dataclasses import dataclass
from typing import NamedTuple

from contracts.events import EVENT_TYPES, MADE, UNSTORABLE
from contracts.services import GATEWAY, STAGES

TOKEN_LENGTH_MAX = 64
TOKEN = re.compile(rf"[A-Za-z0-9_-]{{1,{TOKEN_LENGTH_MAX}}}")

LOG_SUBJECTS = "workflow.*.*.*.*.*"
REPUBLISH_FROM, REPUBLISH_TO = "workflow.>", "live.workflow.>"
LIVE_EVENTS = f"live.{LOG_SUBJECTS}"
"""Every event of every workflow, as they come; no deltas, whose subjects are shorter."""

EVERY_PRESENCE = "presence.*"
ROLL_CALL = "roll-call"
"""A gateway has begun to listen: everybody says at once that they are there."""

RESTORED = "restore.>"
"""All that a closed log takes: events under `restoring` of their subjects."""

REFOLD = "refold"
"""Asks whichever projector hears it to fold a held workflow again. Requests and answers are JSON (refolds.py)."""

"""Every process of every service, as it says that it is there."""

WRITTEN_BY = {
    "workflow-requested": GATEWAY,
    "workflow-cancelled": GATEWAY,
    "workflow-resumed": GATEWAY,
    **{
        made.model_fields["type"].default: stage
        for made in MADE
        for stage, kinds in STAGES.items()
        if made.kind in kinds
    },
}
"""Events that only one service may write: the gateway, or the stage whose artefact it is.

The others are written by the stage that works on them.
"""


class BadToken(ValueError):
    """An owner or a workflow id has to be 1 to 64 letters, digits, underscores or hyphens."""


class WorkflowKey(NamedTuple):
    """Whose workflow it is, and which."""

    owner: str
    workflow_id: str


@dataclass(frozen=True)
class EventSubject:
    """Where one event stands in the log."""

    key: WorkflowKey
    service: str
    event: str
    revision: int

    def __str__(self) -> str:
        return f"workflow.{_path(self.key)}.{token(self.service)}.{token(self.event)}.{self.revision}"


def token(text: str) -> str:
    """The text, when it may be part of a subject. Raises BadToken."""
    if not TOKEN.fullmatch(text):
        raise BadToken(f"{text[:80]!r} is not 1 to 64 letters, digits, underscores or hyphens")
    return text


def parse(subject: str) -> EventSubject:
    """The event subject in this text, on the live side too. Raises BadToken where it is none."""
    parts = subject.removeprefix("live.").split(".")
    if len(parts) != 6 or parts[0] != "workflow" or not re.fullmatch(r"[1-9][0-9]{0,8}", parts[5]):
        raise BadToken(f"{subject[:200]!r} is not the subject of an event")
    for part in parts[1:5]:
        token(part)
    return EventSubject(WorkflowKey(parts[1], parts[2]), parts[3], parts[4], int(parts[5]))


def whose(subject: str) -> WorkflowKey:
    """The workflow that a stored event belongs to, whatever else is wrong with it: the stream takes no other shape.

    A name that is too long to be one is told by its beginning and its hash: a database could not find it again.
    """
    _, owner, workflow_id, *_ = storable(subject).split(".")
    return WorkflowKey(_bounded(owner), _bounded(workflow_id))


def storable(subject: str) -> str:
    """The subject as a database can hold it: NATS lets a zero byte into subjects that are no event's."""
    return UNSTORABLE.sub("\ufffd", subject)


def _bounded(name: str) -> str:
    if len(name) <= TOKEN_LENGTH_MAX:
        return name
    return f"{name[: TOKEN_LENGTH_MAX // 2]}…{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def history(key: WorkflowKey) -> str:
    """Every event of one workflow. Also the filter of the fence: it must be the same from every writer."""
    return f"workflow.{_path(key)}.>"


def live(key: WorkflowKey) -> str:
    """Every event and delta of one workflow, as they come."""
    return f"live.workflow.{_path(key)}.>"


def delta(key: WorkflowKey, stage: str) -> str:
    """Text of one workflow while this stage's model still writes."""
    return f"live.workflow.{_path(key)}.delta.{token(stage)}"


def is_delta(subject: str) -> bool:
    """Is this a live subject that carries text of an unfinished work?"""
    parts = subject.split(".")
    return len(parts) == 6 and parts[0] == "live" and parts[4] == "delta"


def every(event: type) -> str:
    """Every event of this type, of all workflows."""
    name = _name(event)
    return f"workflow.*.*.{WRITTEN_BY[name]}.{name}.*"


def every_live(event: type) -> str:
    """Every event of this type, of all workflows, as they come."""
    return f"live.{every(event)}"


def may_write(service: str) -> str:
    """What this service may append to the log."""
    return f"workflow.*.*.{token(service)}.>"


def may_stream(stage: str) -> str:
    """The deltas that this stage may send."""
    return f"live.workflow.*.*.delta.{token(stage)}"


def restoring(subject: str) -> str:
    """Where the event of this subject is sent while the log is closed: only who restores it may, and does."""
    return f"restore.{subject}"


def presence(service: str) -> str:
    """Where the processes of this service say that they are there."""
    return f"presence.{token(service)}"


def whose_presence(subject: str) -> str:
    """The service whose presence this subject carries. Raises BadToken where it carries none."""
    first, _, service = subject.partition(".")
    if first != "presence":
        raise BadToken(f"{subject[:200]!r} is not the subject of a presence")
    return token(service)


def _path(key: WorkflowKey) -> str:
    return f"{token(key.owner)}.{token(key.workflow_id)}"


def _name(event: type) -> str:
    return next(name for name, kind in EVENT_TYPES.items() if kind is event)
