"""The gateway's web application: what there is to ask for, and who answers."""

from typing import Any

from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline

from contracts.websocket import FRAME_BYTES_MAX
from services.gateway import reads, status, workflows
from services.gateway.asyncapi import asyncapi
from services.gateway.bodies import BoundedBodies
from services.gateway.content import serve_content
from services.gateway.origins import is_welcome
from services.gateway.parts import Needed, Parts
from services.gateway.problems import Problem, add_problems

VERSION = "0.1.0"

DESCRIPTION = """
Pressroom turns a topic into a researched blog post, posts for social platforms and an illustration.

Start a workflow with `POST /workflows`, and read what has happened in it from `GET /workflows/{workflow_id}/events`. To
watch it live, ask for those as `text/event-stream`, or open the websocket `/content` and send
`{"type": "start", "topic": "…"}`: `/asyncapi.json` tells all that is said there.

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
    {"name": "Parked work", "description": "What cannot go on until somebody acts, and why."},
    {"name": "Status", "description": "How Pressroom itself is: its processes, what waits, and what is wrong."},
]

router = APIRouter()


def make_app(parts: Parts) -> FastAPI:
    """The application over these parts."""
    app = FastAPIOffline(
        title="Pressroom",
        version=VERSION,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    app.state.parts = parts
    app.include_router(router)
    app.include_router(workflows.router)
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


@router.get("/", include_in_schema=False)
async def index() -> RedirectResponse:
    """Shows newcomers what there is to ask for."""
    return RedirectResponse("/docs")


@router.get("/asyncapi.json", include_in_schema=False)
async def describe_websocket() -> dict[str, Any]:
    """What is said over the websocket."""
    return asyncapi(VERSION)


@router.websocket("/content")
async def content(socket: WebSocket, parts: Needed) -> None:
    """A workflow, live. `/asyncapi.json` tells what is said."""
    if is_welcome(socket.headers.get("origin"), socket.headers.get("host"), parts.origins):
        await serve_content(socket, parts.places, parts.desk, parts.tails)
    else:
        await socket.close()  # before it was accepted: the browser gets a 403
