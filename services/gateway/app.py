"""The gateway's web application: what there is to ask for, and who answers."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Path, Response, WebSocket
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, ConfigDict
from starlette.requests import HTTPConnection

from chassis.health import Health
from chassis.object_store import ObjectStore, picture_pointer
from contracts.requests import ContentRequest
from contracts.subjects import TOKEN
from contracts.websocket import FRAME_BYTES_MAX, describe
from services.gateway.bodies import BoundedBodies
from services.gateway.content import Places, serve_content
from services.gateway.desk import OWNER, Desk, ResearchIsOff
from services.gateway.origins import is_welcome
from services.gateway.problems import Problem, ProblemFound, add_problems
from services.gateway.tail import Tails

DESCRIPTION = """
Pressroom turns a topic into a researched blog post, posts for social platforms and an illustration.

Start a workflow with `POST /workflows`, and read what has happened in it from `GET /workflows/{id}/events`. To watch it
live, open the websocket `/content` and send `{"topic": "…", "research": true}`.
"""


class WorkflowRequest(ContentRequest):
    """A topic to be turned into content. Unknown fields are refused, so that a slip does not go unnoticed."""

    model_config = ConfigDict(extra="forbid")


class Started(BaseModel):
    """A workflow that was taken in, and will be done whatever happens."""

    workflow_id: str


class EventRead(BaseModel):
    """One event of a workflow. `data` holds the fields of its type."""

    revision: int
    event: str
    workflow_id: str
    work: str | None
    attempt: int | None
    data: dict[str, Any]
    error: dict[str, Any] | None
    ts: str
    id: str
    cause: str | None
    position: int


class Events(BaseModel):
    """A workflow's events, in order."""

    workflow_id: str
    events: list[EventRead]


@dataclass(frozen=True)
class Parts:
    """What the gateway works with."""

    desk: Desk
    tails: Tails
    gallery: ObjectStore
    health: Health
    places: Places
    origins: str = ""


def _parts(connection: HTTPConnection) -> Parts:
    return connection.app.state.parts


Needed = Annotated[Parts, Depends(_parts)]
router = APIRouter()


def make_app(parts: Parts) -> FastAPI:
    """The application over these parts."""
    app = FastAPIOffline(title="Pressroom", version="0.1.0", description=DESCRIPTION, redoc_url=None)
    app.state.parts = parts
    app.include_router(router)
    app.router.routes.extend(parts.health.routes())
    app.add_middleware(BoundedBodies, bytes_max=FRAME_BYTES_MAX)
    add_problems(app)
    return app


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: the problems that an operation may answer with."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"model": Problem, "content": content} for status in statuses}


_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture", "content": {"image/png": {}, "image/jpeg": {}, "image/webp": {}}}
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


@router.post("/workflows", status_code=202, tags=["Workflows"], responses=_problems(409, 413, 422, 503, 507))
async def start_workflow(request: WorkflowRequest, parts: Needed) -> Started:
    """Starts a workflow. With a `client_request_id`, asking again is safe: it is the same workflow."""
    try:
        key = await parts.desk.start(request)
    except ResearchIsOff as off:
        raise ProblemFound(422, "research-is-off", str(off)) from off
    return Started(workflow_id=key.workflow_id)


@router.get("/workflows/{workflow_id}/events", tags=["Workflows"], responses=_problems(404, 422, 503))
async def workflow_events(
    workflow_id: Annotated[str, Path(max_length=200)], parts: Needed, format: Literal["json"] = "json"
) -> Events:
    """All that has happened in a workflow, from the log itself."""
    history = await parts.desk.history(workflow_id) if TOKEN.fullmatch(workflow_id) else None
    if history is None or not history.recorded:
        raise ProblemFound(404, "unknown-workflow", "There is no such workflow.")
    events = [EventRead.model_validate(describe(recorded)) for recorded in history.recorded]
    return Events(workflow_id=workflow_id, events=events)


@router.get(
    "/images/{sha256}", tags=["Pictures"], response_class=Response, responses=_problems(404, 422, 503) | _PICTURE
)
async def image(sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")], parts: Needed) -> Response:
    """A picture, by the hash of its bytes."""
    pointer = await parts.gallery.get(picture_pointer(OWNER, sha256))
    picture = await parts.gallery.get(pointer.data.decode()) if pointer else None
    if picture is None:
        raise ProblemFound(404, "unknown-image", "There is no such image.")
    # The bytes behind a hash never change, so a browser may keep them for good.
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "ETag": f'"{sha256}"'}
    return Response(picture.data, media_type=picture.content_type, headers=headers)
