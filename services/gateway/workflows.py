"""What is done with workflows over HTTP: started, cancelled, resumed, and followed event by event."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.envelope import Recorded
from contracts.events import NUMBER_MAX, Event
from contracts.refolds import Outcome
from contracts.requests import ContentRequest
from contracts.subjects import TOKEN, WorkflowKey
from contracts.websocket import Reason, describe
from services.gateway import reads
from services.gateway.desk import OWNER
from services.gateway.event_stream import EventStream
from services.gateway.pages import never_null
from services.gateway.parts import Needed
from services.gateway.problems import (
    ALREADY_CLOSED,
    BAD_REQUEST,
    BODY_UNREADABLE,
    FATE_UNKNOWN,
    HISTORY_FULL,
    HISTORY_UNREADABLE,
    LOG_FULL,
    LOG_UNAVAILABLE,
    NO_PROJECTOR,
    REQUEST_CONFLICT,
    RESEARCH_IS_OFF,
    REVISION_UNKNOWN,
    TOO_LARGE,
    TOO_MANY_STREAMS,
    UNKNOWN_WORKFLOW,
    ProblemFound,
    answers,
)

_WORKFLOW_ID = "01a20262-4036-74ac-b832-5ff8bc7b6bef"


class WorkflowRequest(ContentRequest):
    """A topic to be turned into content. Unknown fields are refused, so that a slip does not go unnoticed."""

    model_config = ConfigDict(extra="forbid")


class Started(BaseModel):
    """A workflow that was taken in, and will be done whatever happens."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"workflow_id": _WORKFLOW_ID, "position": 37}]})

    workflow_id: str
    position: Annotated[
        int, Field(description="Where the request stands in the log; as `min_position`, reads wait for it.")
    ]


class EventRead(BaseModel):
    """One event of a workflow."""

    revision: Annotated[int, Field(description="Its place in the workflow's history: 1, 2, 3 …")]
    event: Annotated[str, Field(description="Its type, as `blog-written`.")]
    workflow_id: str
    work: Annotated[str | None, Field(description="The work that it is about, where it is about one.")] = None
    attempt: int | None = None
    data: Annotated[dict[str, Any], Field(description="The fields of its type.")]
    error: Annotated[dict[str, Any] | None, Field(description="Why something failed: code, message, retryable.")] = None
    ts: Annotated[str, Field(description="When it was recorded.")]
    id: str
    cause: Annotated[str | None, Field(description="The id of the event that was reacted to.")] = None
    position: Annotated[int, Field(description="Its place in the whole log.")]


class Events(BaseModel):
    """A workflow's events, in order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "workflow_id": _WORKFLOW_ID,
                    "events": [
                        {
                            "revision": 1,
                            "event": "workflow-requested",
                            "workflow_id": _WORKFLOW_ID,
                            "work": None,
                            "attempt": None,
                            "data": {"topic": "The history of tea", "research": True, "platforms": ["linkedin"]},
                            "error": None,
                            "ts": "2026-11-22T10:00:00.123456+00:00",
                            "id": "01a20262-4037-7a10-8c55-2f0d8a9b6c11",
                            "cause": None,
                            "position": 37,
                        }
                    ],
                }
            ]
        }
    )

    workflow_id: str
    events: list[EventRead]


class Why(BaseModel):
    """Why something is done, for the log."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "I changed my mind."}]})

    reason: Reason | None = None


class Standing(BaseModel):
    """What was asked for stands in the log, now or since before."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"workflow_id": _WORKFLOW_ID, "revision": 9, "position": 52}]}
    )

    workflow_id: str
    revision: Annotated[int, Field(description="Of the event that stands for it.")]
    position: Annotated[
        int, Field(description="Where that event stands in the log; as `min_position`, reads wait for it.")
    ]


class RefoldTold(BaseModel):
    """What came of folding a workflow again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"workflow_id": _WORKFLOW_ID, "outcome": "folded", "why": None, "position": None, "events": None}
            ]
        }
    )

    workflow_id: str
    outcome: Annotated[
        Literal["folded", "held", "not-held"],
        Field(
            description="`folded`: the read tables show all of it now. `held`: they hold it back still; `why` tells. "
            "`not-held`: they showed all of it before."
        ),
    ]
    why: Annotated[str | None, Field(description="Of one that is held: what is wrong with its event.")] = None
    position: Annotated[int | None, Field(description="Of one that is held: the event from which on it is.")] = None
    events: Annotated[int | None, Field(description="Of one that is held: how many of its events are.")] = None


class EventsAsked(BaseModel):
    """How the events may be asked for."""

    model_config = ConfigDict(extra="forbid")

    after_revision: Annotated[
        int,
        Field(
            ge=0,
            le=NUMBER_MAX,
            description="Only what is behind this revision. `Last-Event-ID` goes before it.",
            examples=[7],
        ),
    ] = 0
    format: Annotated[
        Literal["json", "sse"] | None,
        Field(
            description="The form of the answer: the events until now, or a stream of server-sent events. Left out, "
            "the stream is sent to who accepts `text/event-stream`.",
            examples=["json"],
            json_schema_extra=never_null,
        ),
    ] = None


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[!-~]([ -~]*[!-~])?$",
        description="The same as `client_request_id`, for clients that send it as a header.",
        examples=["my-1"],
        json_schema_extra=never_null,
    ),
]

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        pattern="^[0-9]{1,15}$",
        description="The revision that a stream of events is continued behind; browsers send it by themselves.",
        examples=["7"],
        json_schema_extra=never_null,
    ),
]

router = APIRouter(tags=["Workflows"])


def _taken_in(description: str) -> dict[int | str, dict[str, Any]]:
    return {
        202: {
            "description": description,
            "headers": {
                "Location": {
                    "description": "Where the workflow is read, once the read tables contain it.",
                    "schema": {"type": "string"},
                    "example": f"/workflows/{_WORKFLOW_ID}?min_position=37",
                }
            },
        }
    }


ON_THE_WAY_IN = (BODY_UNREADABLE, TOO_LARGE, BAD_REQUEST, HISTORY_UNREADABLE, LOG_UNAVAILABLE, FATE_UNKNOWN, LOG_FULL)
"""What may happen to whatever is to be recorded."""


@router.post(
    "/workflows",
    status_code=202,
    responses=_taken_in("It was taken in, now or before") | answers(REQUEST_CONFLICT, RESEARCH_IS_OFF, *ON_THE_WAY_IN),
)
async def start_workflow(
    request: WorkflowRequest, parts: Needed, response: Response, key: IdempotencyKey = None
) -> Started:
    """Starts a workflow. With a `client_request_id`, asking again is safe: it is the same workflow."""
    if key is not None:
        if request.client_request_id not in (None, key):
            raise ProblemFound(REQUEST_CONFLICT, "The Idempotency-Key is another than the client_request_id.")
        request = request.model_copy(update={"client_request_id": key})
    taken = await parts.desk.start(request)
    workflow_id = taken.key.workflow_id
    response.headers["Location"] = _place(workflow_id, taken.position)
    return Started(workflow_id=workflow_id, position=taken.position)


@router.post(
    "/workflows/{workflow_id}/cancel",
    status_code=202,
    responses=_taken_in("It is cancelled, now or since before")
    | answers(UNKNOWN_WORKFLOW, ALREADY_CLOSED, *ON_THE_WAY_IN),
)
async def cancel_workflow(
    workflow_id: reads.WorkflowId, parts: Needed, response: Response, why: Why | None = None
) -> Standing:
    """Calls the open run off, and stops the model calls that run for it. What was made is kept. Safe to repeat."""
    return _standing(await parts.desk.cancel(workflow_id, why and why.reason), response)


@router.post(
    "/workflows/{workflow_id}/resume",
    status_code=202,
    responses=_taken_in("A run is open, now or since before")
    | answers(UNKNOWN_WORKFLOW, ALREADY_CLOSED, HISTORY_FULL, *ON_THE_WAY_IN),
)
async def resume_workflow(
    workflow_id: reads.WorkflowId, parts: Needed, response: Response, why: Why | None = None
) -> Standing:
    """Opens the next run of a failed or cancelled workflow: only what is missing is made. Safe to repeat."""
    return _standing(await parts.desk.resume(workflow_id, why and why.reason), response)


@router.post(
    "/workflows/{workflow_id}/refold",
    response_description="What came of it",
    responses=answers(UNKNOWN_WORKFLOW, BAD_REQUEST, NO_PROJECTOR),
)
async def refold_workflow(workflow_id: reads.WorkflowId, parts: Needed) -> RefoldTold:
    """Folds a workflow that the read tables hold back again from its first event, in order.

    For after an update that can read what could not be read, or after the database was mended; a projector does so by
    itself when it starts. Safe to repeat: one that is not held is left as it is.
    """
    if not TOKEN.fullmatch(workflow_id):
        raise ProblemFound(UNKNOWN_WORKFLOW)
    done = await parts.refolds.refold(WorkflowKey(OWNER, workflow_id))
    if done.outcome is Outcome.UNKNOWN:
        raise ProblemFound(UNKNOWN_WORKFLOW, "The read tables know no such workflow.")
    return RefoldTold.model_validate({"workflow_id": workflow_id, **done.model_dump(mode="json")})


_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The events, in order of revision",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'id: 1\nevent: workflow-requested\ndata: {"type":"event","payload":"Asked for: tea"}\n\n',
            }
        },
    },
    204: {"description": "A stream was asked for, and there is nothing more to come: the workflow is closed"},
}


@router.get(
    "/workflows/{workflow_id}/events",
    dependencies=[Depends(reads.each_once)],
    response_model=Events,
    responses=_STREAM
    | answers(UNKNOWN_WORKFLOW, REVISION_UNKNOWN, BAD_REQUEST, TOO_MANY_STREAMS, HISTORY_UNREADABLE, LOG_UNAVAILABLE),
)
async def workflow_events(
    workflow_id: reads.WorkflowId,
    asked: Annotated[EventsAsked, Query()],
    parts: Needed,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
    last_event_id: LastEventId = None,
) -> Events | Response:
    """All that has happened in a workflow, from the log itself: it needs no read tables, and is never behind.

    As a stream of server-sent events it goes on until the workflow is closed: each event under its type, with its
    revision as `id` and what the websocket's `event` frame says as `data`; between them `delta`s of the texts that are
    being written. A client that was cut off continues with `Last-Event-ID`.
    """
    after = asked.after_revision if last_event_id is None else int(last_event_id)
    history = await parts.desk.history(workflow_id, reach=after)
    if asked.format != "sse" and (asked.format == "json" or "text/event-stream" not in accept.lower()):
        return Events(workflow_id=workflow_id, events=[_told(recorded) for recorded in history.recorded[after:]])
    if history.state.is_closed and after == history.revision:
        return Response(status_code=204)
    return EventStream(parts, history, after)


def _standing(stands: Recorded[Event], response: Response) -> Standing:
    workflow_id = stands.key.workflow_id
    response.headers["Location"] = _place(workflow_id, stands.position)
    return Standing(workflow_id=workflow_id, revision=stands.revision, position=stands.position)


def _place(workflow_id: str, position: int) -> str:
    return f"/workflows/{workflow_id}?min_position={position}"


def _told(recorded: Recorded[Event]) -> EventRead:
    return EventRead.model_validate(describe(recorded))
