"""The websocket messages of the full dialect: what a client may send, and what it is told.

A frame is one JSON object in a text frame. `payload` is always a string, for whoever reads nothing else; everything
that programs want to know stands beside it. Keys that say nothing are left out.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts.deltas import Delta
from contracts.envelope import Recorded
from contracts.events import (
    NUMBER_MAX,
    Artefact,
    AttemptFailed,
    Event,
    Failure,
    WorkClaimed,
    WorkflowFailed,
    work_of,
)
from contracts.requests import ContentRequest
from contracts.sentences import sentence_of
from contracts.subjects import TOKEN
from contracts.works import Work

FRAME_BYTES_MAX = 64 * 1024
"""Of a frame from a client: thirty times the longest topic."""

REASON_LENGTH_MAX = 500


class CloseCode:
    """Why the server closes a websocket (the 44xx are ours; RFC 6455 leaves 4000 to 4999 to applications)."""

    DONE = 1000
    TRY_AGAIN = 1013
    BAD_FRAME = 4400
    UNKNOWN_WORKFLOW = 4404
    CONFLICT = 4409
    FRAME_TOO_LARGE = 4413
    TOO_MANY = 4429


# ---------------------------------------------------------------- what a client may send

Reason = Annotated[
    str,
    # No zero byte, as in a topic.
    StringConstraints(strip_whitespace=True, min_length=1, max_length=REASON_LENGTH_MAX, pattern=r"^[^\x00]*$"),
    Field(
        description="Why, in your own words, not all of them blank; it is kept in the log.",
        examples=["I changed my mind."],
        json_schema_extra={"pattern": r"^[^\x00]*[^\s\x00][^\x00]*$"},
    ),
]


def _example(*examples: dict[str, Any]) -> ConfigDict:
    return ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [*examples]})


_ID = "01a20262-4036-74ac-b832-5ff8bc7b6bef"


class Start(ContentRequest):
    """Starts a workflow and follows it from its first event. May only be the first frame."""

    model_config = _example(
        {"type": "start", "topic": "The history of tea", "research": True, "platforms": ["linkedin", "x"]},
        {"type": "start", "topic": "The history of tea", "client_request_id": "my-1"},
    )

    type: Literal["start"]


class Attach(BaseModel):
    """Follows a workflow from any revision on, from any device, at any time. May only be the first frame."""

    model_config = _example({"type": "attach", "workflow_id": _ID, "after_revision": 7})

    type: Literal["attach"]
    workflow_id: Annotated[str, Field(pattern=f"^{TOKEN.pattern}$", description="Which workflow.")]
    after_revision: Annotated[
        int, Field(ge=0, le=NUMBER_MAX, strict=True, description="The last revision that you have; 0 for none.")
    ] = 0


class Cancel(BaseModel):
    """Calls the workflow's open run off. Safe to repeat."""

    model_config = _example({"type": "cancel", "reason": "I changed my mind."}, {"type": "cancel"})

    type: Literal["cancel"]
    reason: Reason | None = None


class Resume(BaseModel):
    """Opens the next run of a failed or cancelled workflow: only what is missing is made. Safe to repeat."""

    model_config = _example({"type": "resume"})

    type: Literal["resume"]
    reason: Reason | None = None


class Ping(BaseModel):
    """Asks for a sign of life."""

    model_config = _example({"type": "ping", "id": "7"})

    type: Literal["ping"]
    id: Annotated[str, Field(max_length=200, description="Comes back with the answer.")] = ""


FIRST_FRAMES: dict[str, type[Start] | type[Attach]] = {"start": Start, "attach": Attach}
LATER_FRAMES: dict[str, type[Cancel] | type[Resume] | type[Ping]] = {"cancel": Cancel, "resume": Resume, "ping": Ping}
"""What may be sent, by its `type`."""


# ---------------------------------------------------------------- what a client is told


class ServerFrame(BaseModel):
    """What all frames from the server share."""

    model_config = ConfigDict(frozen=True)

    def text(self) -> str:
        """The frame as it goes over the wire."""
        return self.model_dump_json(exclude_none=True)


class EventFrame(ServerFrame):
    """An event of the workflow, as it was recorded. Every revision comes once, in order."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "type": "event",
                    "payload": "Writing the blog post",
                    "workflow_id": _ID,
                    "revision": 4,
                    "event": "work-claimed",
                    "work": "blog",
                    "attempt": 1,
                    "data": {"work": "blog", "run": 1, "attempt": 1, "worker": "writer@host:4711"},
                    "ts": "2026-11-25T10:00:01.123456+00:00",
                    "id": "01a20262-4037-7a10-8c55-2f0d8a9b6c11",
                    "cause": "01a20262-4036-7b00-9d1e-2f0d8a9b6c10",
                    "position": 40,
                }
            ]
        },
    )

    type: Literal["event"] = "event"
    payload: Annotated[str, Field(description="The event in a sentence, for people.")]
    workflow_id: str
    revision: Annotated[int, Field(description="Its place in the workflow's history: 1, 2, 3 …")]
    event: Annotated[str, Field(description="Its type, as `blog-written`.")]
    work: Annotated[str | None, Field(description="The work that it is about, where it is about one.")] = None
    attempt: int | None = None
    data: Annotated[dict[str, Any], Field(description="The fields of its type.")]
    error: Annotated[Failure | None, Field(description="Why something failed.")] = None
    ts: Annotated[str, Field(description="When it was recorded.")]
    id: str
    cause: Annotated[str | None, Field(description="The id of the event that was reacted to.")] = None
    position: Annotated[int, Field(description="Its place in the whole log.")]


class DeltaFrame(ServerFrame):
    """Text while a model still writes it. Within an attempt each piece follows the one before without a gap.

    A piece with `offset` 0 begins the text anew: a new attempt at the work has begun, or one that you had not heard of.
    The finished text is in the event that records it.
    """

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "type": "delta",
                    "payload": "Tea came to Europe ",
                    "workflow_id": _ID,
                    "work": "blog",
                    "run": 1,
                    "attempt": 1,
                    "offset": 0,
                }
            ]
        },
    )

    type: Literal["delta"] = "delta"
    payload: Annotated[str, Field(description="The piece of text.")]
    workflow_id: str
    work: str
    run: int
    attempt: int
    offset: Annotated[int, Field(description="How many characters (code points) of this attempt stand before it.")]


class Accepted(ServerFrame):
    """A `cancel` or `resume` stands in the log, now or since before."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {"type": "accepted", "payload": "cancel", "workflow_id": _ID, "revision": 9, "position": 52},
            ]
        },
    )

    type: Literal["accepted"] = "accepted"
    payload: Annotated[Literal["cancel", "resume"], Field(description="What was accepted.")]
    workflow_id: str
    revision: Annotated[int, Field(description="Of the event that stands for it.")]
    position: Annotated[int, Field(description="Of the event that stands for it.")]


class Pong(ServerFrame):
    """The answer to a ping."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"type": "pong", "payload": "7"}]})

    type: Literal["pong"] = "pong"
    payload: Annotated[str, Field(description="The ping's id.")]


class Heartbeat(ServerFrame):
    """Nothing has happened for a while, and the connection stands."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "type": "heartbeat",
                    "payload": "",
                    "workflow_id": _ID,
                    "revision": 9,
                    "ts": "2026-11-25T10:00:16.123456Z",
                }
            ]
        },
    )

    type: Literal["heartbeat"] = "heartbeat"
    payload: Literal[""] = ""
    workflow_id: str
    revision: Annotated[int, Field(description="The last revision that you were told.")]
    ts: datetime


class ErrorFrame(ServerFrame):
    """What is wrong. The socket is closed after it, unless it answers a `cancel` or a `resume` that cannot be."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "type": "error",
                    "payload": "There is no such workflow.",
                    "error": {
                        "code": "unknown-workflow",
                        "message": "There is no such workflow.",
                        "retryable": False,
                    },
                }
            ]
        },
    )

    type: Literal["error"] = "error"
    payload: Annotated[str, Field(description="What is wrong, in a sentence.")]
    error: Failure


def error_frame(code: str, told: str, *, retryable: bool = False) -> ErrorFrame:
    """The frame that tells what is wrong, by a code for programs and a sentence for people."""
    return ErrorFrame(payload=told, error=Failure(code=code, message=told, retryable=retryable))


def event_frame(recorded: Recorded[Event]) -> EventFrame:
    """The frame that tells of an event."""
    return EventFrame.model_validate({"payload": sentence_of(recorded.event), **describe(recorded)})


def delta_frame(workflow_id: str, delta: Delta) -> DeltaFrame:
    """The frame that tells a piece of text."""
    return DeltaFrame(
        payload=delta.text,
        workflow_id=workflow_id,
        work=delta.work,
        run=delta.run,
        attempt=delta.attempt,
        offset=delta.offset,
    )


def describe(recorded: Recorded[Event]) -> dict[str, Any]:
    """An event as programs read it: what all events have, and their own fields under `data`. Plain JSON values."""
    data = recorded.event.model_dump(mode="json", exclude={"type", "version"})
    return {
        "workflow_id": recorded.key.workflow_id,
        "revision": recorded.revision,
        "event": recorded.event.type,
        "work": work_concerned(recorded.event),
        "attempt": data.get("attempt"),
        "data": data,
        "error": data.get("error"),
        "ts": recorded.recorded_at.isoformat(),
        "id": recorded.id,
        "cause": recorded.cause,
        "position": recorded.position,
    }


def work_concerned(event: Event) -> Work | None:
    """The work that an event is about, if it is about one."""
    match event:
        case Artefact():
            return work_of(event)
        case WorkClaimed() | AttemptFailed() | WorkflowFailed():
            return event.work
        case _:
            return None
