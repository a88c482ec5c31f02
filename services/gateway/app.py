"""The gateway's web application: what there is to ask for, and who answers."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Response, WebSocket
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, ConfigDict, Field

from contracts.requests import ContentRequest
from contracts.subjects import TOKEN
from contracts.websocket import FRAME_BYTES_MAX, describe
from services.gateway import reads, status
from services.gateway.bodies import BoundedBodies
from services.gateway.content import serve_content
from services.gateway.origins import is_welcome
from services.gateway.parts import Needed, Parts
from services.gateway.problems import (
    BAD_REQUEST,
    BODY_UNREADABLE,
    FATE_UNKNOWN,
    HISTORY_UNREADABLE,
    LOG_FULL,
    LOG_UNAVAILABLE,
    REQUEST_CONFLICT,
    RESEARCH_IS_OFF,
    TOO_LARGE,
    UNKNOWN_WORKFLOW,
    Problem,
    ProblemFound,
    add_problems,
    answers,
)

DESCRIPTION = """
Pressroom turns a topic into a researched blog post, posts for social platforms and an illustration.

Start a workflow with `POST /workflows`, and read what has happened in it from `GET /workflows/{workflow_id}/events`. To
watch it live, open the websocket `/content` and send `{"topic": "…", "research": true}`.

What was made is read from tables that follow the log, a moment behind it. To read your own write, give the `position`
that `POST /workflows` answered with as `min_position`.

Lists come in pages, newest first. Every error is a problem (RFC 9457), whose `code` is for programs; so are a path that
there is not (404), a method that a path does not have (405), and a fault of ours (500).
"""

TAGS = [
    {"name": "Workflows", "description": "From a topic to all that is made of it."},
    {"name": "Blog posts", "description": "The posts, in Markdown, with their sources."},
    {"name": "Social media posts", "description": "The posts for each platform."},
    {"name": "Images", "description": "The pictures, and what is known of them."},
    {"name": "Quarantine", "description": "What the read tables cannot show, and why."},
    {"name": "Status", "description": "How Pressroom itself is: its processes, what waits, and what is wrong."},
]

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


class EventsAsked(BaseModel):
    """How the events may be asked for."""

    model_config = ConfigDict(extra="forbid")

    format: Annotated[Literal["json"], Field(description="The form of the answer.")] = "json"


router = APIRouter()


def make_app(parts: Parts) -> FastAPI:
    """The application over these parts."""
    app = FastAPIOffline(
        title="Pressroom",
        version="0.1.0",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    app.state.parts = parts
    app.include_router(router)
    app.include_router(reads.router)
    app.include_router(status.router)
    app.router.routes.extend(parts.health.routes())
    app.add_middleware(BoundedBodies, bytes_max=FRAME_BYTES_MAX)
    add_problems(app)
    _describe_problems(app)
    return app


def _operation_id(route: APIRoute) -> str:
    """A name that generated clients can call."""
    return route.name


def _describe_problems(app: FastAPI) -> None:
    """Adds what problems look like to OpenAPI. FastAPI would add it as JSON beside the problems' own media type."""
    told = app.openapi

    def openapi() -> dict[str, Any]:
        document = told()
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return document

    app.openapi = openapi


_TAKEN_IN: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "It was taken in, now or before",
        "headers": {
            "Location": {
                "description": "Where the workflow is read, once the read tables contain it.",
                "schema": {"type": "string"},
                "example": f"/workflows/{_WORKFLOW_ID}?min_position=37",
            }
        },
    }
}


@router.get("/", include_in_schema=False)
async def index() -> RedirectResponse:
    """Shows newcomers what there is to ask for."""
    return RedirectResponse("/docs")


@router.websocket("/content")
async def content(socket: WebSocket, parts: Needed) -> None:
    """The old dialect: one request in, progress out, then the results."""
    if is_welcome(socket.headers.get("origin"), socket.headers.get("host"), parts.origins):
        await serve_content(socket, parts.places, parts.desk, parts.tails)
    else:
        await socket.close()  # before it was accepted: the browser gets a 403


@router.post(
    "/workflows",
    status_code=202,
    tags=["Workflows"],
    responses=_TAKEN_IN
    | answers(
        BODY_UNREADABLE,
        REQUEST_CONFLICT,
        TOO_LARGE,
        BAD_REQUEST,
        RESEARCH_IS_OFF,
        HISTORY_UNREADABLE,
        LOG_UNAVAILABLE,
        FATE_UNKNOWN,
        LOG_FULL,
    ),
)
async def start_workflow(request: WorkflowRequest, parts: Needed, response: Response) -> Started:
    """Starts a workflow. With a `client_request_id`, asking again is safe: it is the same workflow."""
    taken = await parts.desk.start(request)
    workflow_id = taken.key.workflow_id
    response.headers["Location"] = f"/workflows/{workflow_id}?min_position={taken.position}"
    return Started(workflow_id=workflow_id, position=taken.position)


@router.get(
    "/workflows/{workflow_id}/events",
    tags=["Workflows"],
    dependencies=[Depends(reads.each_once)],
    response_description="The events, in order of revision",
    responses=answers(UNKNOWN_WORKFLOW, BAD_REQUEST, HISTORY_UNREADABLE, LOG_UNAVAILABLE),
)
async def workflow_events(
    workflow_id: reads.WorkflowId, asked: Annotated[EventsAsked, Query()], parts: Needed
) -> Events:
    """All that has happened in a workflow, from the log itself: it needs no read tables, and is never behind."""
    history = await parts.desk.history(workflow_id) if TOKEN.fullmatch(workflow_id) else None
    if history is None or not history.recorded:
        raise ProblemFound(UNKNOWN_WORKFLOW)
    events = [EventRead.model_validate(describe(recorded)) for recorded in history.recorded]
    return Events(workflow_id=workflow_id, events=events)
