"""Problems: every error over HTTP as RFC 9457 problem details, with a code for programs and a sentence for people.

Each kind of problem is named here once: what ends a request is also what the documentation tells.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from chassis.database import DatabaseUnavailable
from chassis.event_store import HistoryDamaged, HistoryShort, LogFull, OutcomeUnknown, StoreUnavailable
from chassis.object_store import ObjectStoreRefused, ObjectStoreUnavailable
from contracts.envelope import UnreadableEvent
from contracts.requests import NAME_LENGTH_MAX
from contracts.workflow import AlreadyClosed, HistoryFull, RequestConflict, UnknownWorkflow
from services.gateway.desk import FateUnknown, ResearchIsOff
from services.gateway.library import ReadTablesBehind
from services.gateway.refolding import NoProjector

RETRY_AFTER_S = 2
WORTH_ANOTHER_TRY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
"""These say after how long."""

TOLD_MAX = 10
"""Things that are told to be wrong with one request."""

MEDIA_TYPE = "application/problem+json"
SCHEMA = {"$ref": "#/components/schemas/Problem"}

log = structlog.get_logger("gateway")


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it; `code` is for programs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "There is no such workflow.",
                    "code": "unknown-workflow",
                }
            ]
        }
    )

    type: Annotated[str, Field(description="Always `about:blank`: `code` tells problems apart.")] = "about:blank"
    title: Annotated[str, Field(description="The status in words.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="What is wrong, in a sentence for people.")]
    code: Annotated[str, Field(description="What is wrong, for programs. Codes are not renamed.")]


@dataclass(frozen=True)
class Kind:
    """One kind of problem, and when it is told."""

    status: int
    code: str
    when: str


BODY_UNREADABLE = Kind(400, "bad-request", "The body cannot be read: it is not UTF-8, or it is nested without end.")
UNKNOWN_WORKFLOW = Kind(404, "unknown-workflow", "There is no such workflow.")
UNKNOWN_BLOG_POST = Kind(404, "unknown-blog-post", "There is no such blog post.")
UNKNOWN_SOCIAL_MEDIA_POST = Kind(404, "unknown-social-media-post", "There is no such post.")
UNKNOWN_IMAGE = Kind(404, "unknown-image", "There is no such image.")
REQUEST_CONFLICT = Kind(409, "request-conflict", "The request id was used before, with another request.")
ALREADY_CLOSED = Kind(409, "already-closed", "The run is closed already, in another way than asked; `detail` says how.")
HISTORY_FULL = Kind(409, "history-full", "The workflow has been resumed too often; start a new one.")
TOO_LARGE = Kind(413, "too-large", "The body is larger than 64 KiB.")
BAD_REQUEST = Kind(422, "bad-request", "A parameter or a field is wrong; `detail` names it and says what it has to be.")
RESEARCH_IS_OFF = Kind(422, "research-is-off", "Research was asked for, and is switched off here.")
REVISION_UNKNOWN = Kind(
    409, "revision-unknown", "The log has fewer events of this workflow than that; begin again with revision 0."
)
TOO_MANY_STREAMS = Kind(429, "too-many-sockets", "Too many live streams are open here; try again in a minute.")
UNEXPECTED = Kind(500, "unexpected", "Something unexpected went wrong here; the gateway's log says what.")
HISTORY_UNREADABLE = Kind(
    502, "history-unreadable", "The log holds an event of this workflow that cannot be read here; `detail` says which."
)
LOG_UNAVAILABLE = Kind(503, "log-unavailable", "The log does not answer at the moment; try again in a few seconds.")
FATE_UNKNOWN = Kind(503, "fate-unknown", "The log stopped answering half-way; `detail` says what may stand in it.")
PICTURES_UNAVAILABLE = Kind(
    503, "object-store-unavailable", "The pictures cannot be read at the moment; try again later."
)
READ_TABLES_UNAVAILABLE = Kind(
    503,
    "read-tables-unavailable",
    "The read tables do not answer at the moment; try again in a few seconds. "
    "The live streams and a workflow's events go on without them.",
)
NO_PROJECTOR = Kind(
    503, "no-projector", "No projector answers, or it cannot do it at the moment; `detail` says why. Try again later."
)
PROJECTION_BEHIND = Kind(
    503, "projection-behind", "The read tables have not reached `min_position` in time; `detail` says how far they are."
)
LOG_FULL = Kind(507, "log-full", "The log is full; nothing was recorded. Tell whoever runs this.")


class ProblemFound(Exception):
    """Ends a request with a problem; the detail is the kind's own sentence where there is no better one."""

    def __init__(self, kind: Kind, detail: str | None = None) -> None:
        super().__init__(detail or kind.when)
        self.kind = kind


def problem(kind: Kind, detail: str | None = None, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer that tells of a problem."""
    body = Problem(title=HTTPStatus(kind.status).phrase, status=kind.status, detail=detail or kind.when, code=kind.code)
    if kind.status in WORTH_ANOTHER_TRY:
        headers = {"Retry-After": str(RETRY_AFTER_S), **(headers or {})}
    return JSONResponse(body.model_dump(), kind.status, headers, media_type=MEDIA_TYPE)


# ---------------------------------------------------------------- what the documentation tells


def answers(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """For an operation's `responses`: the problems that it may answer with."""
    told: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        answer = told.setdefault(kind.status, _answer(kind.status))
        answer["description"] += f"\n\n`{kind.code}`: {kind.when}"
        answer["content"][MEDIA_TYPE]["examples"][kind.code] = {"value": _example(kind)}
    return told


def _answer(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": SCHEMA, "examples": {}}},
    }
    if status in WORTH_ANOTHER_TRY:
        schema = {"type": "integer", "minimum": 0}
        answer["headers"] = {
            "Retry-After": {"description": "After so many seconds it is worth another try.", "schema": schema}
        }
    return answer


def _example(kind: Kind) -> dict[str, Any]:
    return Problem(
        title=HTTPStatus(kind.status).phrase, status=kind.status, detail=kind.when, code=kind.code
    ).model_dump()


# ---------------------------------------------------------------- which error is which problem


def add_problems(app: FastAPI) -> None:
    """Has every error of this application told as a problem."""
    table: dict[type[Exception], Callable[[Exception], JSONResponse]] = {
        ProblemFound: lambda wrong: problem(cast(ProblemFound, wrong).kind, str(wrong)),
        RequestValidationError: _invalid,
        ResearchIsOff: _as(RESEARCH_IS_OFF),
        RequestConflict: _as(REQUEST_CONFLICT),
        UnknownWorkflow: _as(UNKNOWN_WORKFLOW),
        NoProjector: _as(NO_PROJECTOR),
        AlreadyClosed: _as(ALREADY_CLOSED),
        HistoryFull: _as(HISTORY_FULL),
        HistoryShort: lambda _: problem(REVISION_UNKNOWN),
        LogFull: lambda _: problem(LOG_FULL),
        FateUnknown: _as(FATE_UNKNOWN),
        StoreUnavailable: lambda _: problem(LOG_UNAVAILABLE),
        OutcomeUnknown: lambda _: problem(LOG_UNAVAILABLE),
        UnreadableEvent: lambda wrong: problem(HISTORY_UNREADABLE, f"An event cannot be read here, at {wrong}."),
        HistoryDamaged: lambda wrong: problem(HISTORY_UNREADABLE, f"The history has a gap or a repeat: {wrong}."),
        ObjectStoreUnavailable: lambda _: problem(PICTURES_UNAVAILABLE),
        ObjectStoreRefused: lambda _: problem(PICTURES_UNAVAILABLE),
        DatabaseUnavailable: lambda _: problem(READ_TABLES_UNAVAILABLE),
        ReadTablesBehind: _as(PROJECTION_BEHIND),
    }
    for kind, tell in table.items():
        app.add_exception_handler(kind, _handler(tell))
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _as(kind: Kind) -> Callable[[Exception], JSONResponse]:
    """In the error's own words."""
    return lambda wrong: problem(kind, str(wrong))


def _handler(tell: Callable[[Exception], JSONResponse]) -> Callable[[Request, Exception], Awaitable[JSONResponse]]:
    async def handle(_: Request, wrong: Exception) -> JSONResponse:
        return tell(wrong)

    return handle


def _invalid(wrong: Exception) -> JSONResponse:
    errors = cast(RequestValidationError, wrong).errors()
    return problem(BAD_REQUEST, "; ".join(_told(one) for one in errors[:TOLD_MAX]))


def _told(wrong: Any) -> str:
    """One thing that is wrong with a request: which field, and what. A place begins with `body`, `path` or `query`."""
    where, *place = map(str, wrong["loc"])
    name = ".".join(place)[:NAME_LENGTH_MAX] or "The request"
    match wrong["type"], where:
        case "json_invalid", _:
            return "The request is not JSON"
        case "model_attributes_type", "body" if not place:
            return "The request is not a JSON object, or its header Content-Type does not say application/json"
        case "extra_forbidden", "query":
            return f"{name}: there is no such parameter here"
        case "extra_forbidden", _:
            return f"{name}: there is no such field here"
        case _:
            return f"{name}: {wrong['msg']}"


async def _http(request: Request, wrong: Exception) -> JSONResponse:
    """What Starlette and FastAPI refuse by themselves."""
    refusal = cast(HTTPException, wrong)
    code = HTTPStatus(refusal.status_code).phrase.lower().replace(" ", "-")
    headers = dict(refusal.headers or {})
    detail = str(refusal.detail)
    if refusal.status_code == HTTPStatus.NOT_FOUND:
        detail = "There is nothing at this path; /docs shows what there is."
    if refusal.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request))
        detail = f"This path can be asked with {headers['Allow']} alone."
    return problem(Kind(refusal.status_code, code, detail), headers=headers)


def _methods(request: Request) -> list[str]:
    """What this path may be asked with: a 405 knows of one of its routes only, and each method has a route."""
    routes = cast(FastAPI, request.app).router.routes
    return [
        method
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


async def _unexpected(request: Request, wrong: Exception) -> JSONResponse:
    log.exception("unexpected", path=request.url.path, exc_info=wrong)
    return problem(UNEXPECTED)
