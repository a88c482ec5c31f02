"""A gateway of the tests' own, which speaks the wire: it plays what a test wrote down, and notes what it was asked."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from chassis.health import QuietServer
from tests.cli.given import ID, Json, text, workflow
from tests.listening import listener

DROP, STAY = -1, 0
"""Instead of a close code: the connection breaks without a word; it stays open until the client leaves."""


@dataclass(frozen=True)
class Visit:
    """One connection: these frames, then this close code."""

    frames: Sequence[Json | str] = ()
    ends: int = 1000
    reason: str = ""


@dataclass(frozen=True)
class Asked:
    """One request over HTTP."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


class Gateway:
    """Answers on a port of its own, in a thread of its own."""

    def __init__(self, port: int = 0) -> None:
        self.visits: list[Visit] = []
        self.first_frames: list[Json] = []
        self.asked: list[Asked] = []
        self.workflow: Any = workflow()
        self.events: list[Json] = []
        self.answers: dict[str, Response] = {}
        self.pages: dict[str, list[Json]] = {}
        self.left = threading.Event()
        self._listener = listener(port)
        self.port: int = self._listener.getsockname()[1]
        routes = [WebSocketRoute("/content", self._content), Route("/{path:path}", self._http, methods=["GET", "POST"])]
        config = uvicorn.Config(
            Starlette(routes=routes), lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        self._server = QuietServer(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        """What was asked for over HTTP, in order."""
        return [f"{one.method} {one.path}" for one in self.asked]

    # ------------------------------------------------------------ the websocket

    async def _content(self, socket: WebSocket) -> None:
        await socket.accept()
        self.first_frames.append(await socket.receive_json())
        visit = self.visits.pop(0) if self.visits else Visit(ends=1013)
        try:
            for frame in visit.frames:
                await socket.send_text(frame if isinstance(frame, str) else text(frame))
            await self._end(socket, visit)
        except WebSocketDisconnect:
            self.left.set()

    async def _end(self, socket: WebSocket, visit: Visit) -> None:
        if visit.ends == STAY:
            while True:
                await socket.receive_text()
        if visit.ends == DROP:
            await self._drop()
        with suppress(RuntimeError):  # it was dropped
            await socket.close(visit.ends if visit.ends > 0 else 1000, visit.reason)

    async def _drop(self) -> None:
        await asyncio.sleep(0)  # what was sent is on its way
        for connection in list(self._server.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None and "WebSocket" in type(connection).__name__:
                transport.close()

    # ------------------------------------------------------------ HTTP

    async def _http(self, request: Request) -> Response:
        body = await request.json() if await request.body() else None
        self.asked.append(Asked(request.method, request.url.path, dict(request.query_params), body))
        answer = self.answers.get(request.url.path)
        if answer is not None:
            return answer
        if pages := self.pages.get(request.url.path):
            return JSONResponse(pages.pop(0))
        if request.url.path.endswith("/events"):
            after = int(request.query_params.get("after_revision", "0"))
            return JSONResponse({"workflow_id": ID, "events": [one for one in self.events if one["revision"] > after]})
        return JSONResponse(self.workflow)


def problem(status: int, detail: str, code: str = "a-code") -> JSONResponse:
    """A refusal as RFC 9457 has it."""
    body = {"type": "about:blank", "title": "Refused", "status": status, "detail": detail, "code": code}
    return JSONResponse(body, status, media_type="application/problem+json")


def error(told: str, *, retryable: bool = False, code: str = "a-code") -> Json:
    """An `error` frame."""
    return {"type": "error", "payload": told, "error": {"code": code, "message": told, "retryable": retryable}}
