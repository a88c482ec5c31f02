"""Problems: every error over HTTP as RFC 9457 problem details, with a code for programs and a sentence for people."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from chassis.event_store import LogFull, OutcomeUnknown, StoreUnavailable
from chassis.object_store import ObjectStoreRefused, ObjectStoreUnavailable
from contracts.requests import sentence
from contracts.workflow import RequestConflict
from services.gateway.desk import FateUnknown

RETRY_AFTER_S = 2

log = structlog.get_logger("gateway")


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it; `code` is for programs."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str


class ProblemFound(Exception):
    """Ends a request with a problem."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer that tells of a problem."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, code=code)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {"Retry-After": str(RETRY_AFTER_S), **(headers or {})}
    return JSONResponse(body.model_dump(), status, headers, media_type="application/problem+json")


def add_problems(app: FastAPI) -> None:
    """Has every error of this application told as a problem."""
    table: dict[type[Exception], Callable[[Exception], JSONResponse]] = {
        ProblemFound: _found,
        RequestValidationError: _invalid,
        ValidationError: _invalid,
        HTTPException: _http,
        RequestConflict: lambda wrong: problem(409, "request-conflict", str(wrong)),
        LogFull: lambda _: problem(507, "log-full", "The log is full; nothing was recorded. Tell whoever runs this."),
        FateUnknown: lambda wrong: problem(503, "fate-unknown", str(wrong)),
        StoreUnavailable: _unavailable,
        OutcomeUnknown: _unavailable,
        ObjectStoreUnavailable: _no_pictures,
        ObjectStoreRefused: _no_pictures,
    }
    for kind, tell in table.items():
        app.add_exception_handler(kind, _handler(tell))
    app.add_exception_handler(Exception, _unexpected)


def _handler(tell: Callable[[Exception], JSONResponse]) -> Callable[[Request, Exception], Awaitable[JSONResponse]]:
    async def handle(_: Request, wrong: Exception) -> JSONResponse:
        return tell(wrong)

    return handle


def _found(wrong: Exception) -> JSONResponse:
    assert isinstance(wrong, ProblemFound)  # noqa: S101
    return problem(wrong.status, wrong.code, wrong.detail)


def _invalid(wrong: Exception) -> JSONResponse:
    if isinstance(wrong, ValidationError):
        return problem(422, "bad-request", sentence(wrong))
    assert isinstance(wrong, RequestValidationError)  # noqa: S101
    return problem(422, "bad-request", "; ".join(_told(one) for one in wrong.errors()[:10]))


def _told(wrong: Any) -> str:
    """One thing that is wrong with a request: which field, and what. The first part of a place is `body` or `path`."""
    if wrong["type"] == "json_invalid":
        return "The request is not JSON"
    return f"{'.'.join(map(str, wrong['loc'][1:])) or 'The request'}: {wrong['msg']}"


def _http(wrong: Exception) -> JSONResponse:
    assert isinstance(wrong, HTTPException)  # noqa: S101
    code = HTTPStatus(wrong.status_code).phrase.lower().replace(" ", "-")
    return problem(wrong.status_code, code, str(wrong.detail), wrong.headers)  # a 405 says in one what is allowed


def _unavailable(_: Exception) -> JSONResponse:
    return problem(503, "log-unavailable", "The log does not answer at the moment; try again in a few seconds.")


def _no_pictures(_: Exception) -> JSONResponse:
    return problem(503, "object-store-unavailable", "The pictures cannot be read at the moment; try again later.")


async def _unexpected(request: Request, wrong: Exception) -> JSONResponse:
    log.exception("unexpected", path=request.url.path, exc_info=wrong)
    return problem(500, "unexpected", "Something unexpected went wrong here; the gateway's log says what.")
