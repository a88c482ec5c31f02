"""`ws /content` in the old dialect: one request in, progress out, then the results.

The workflow does not depend on the socket: one that goes away leaves it running.
"""

import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import structlog
from fastapi import WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from chassis.event_store import HistoryDamaged, LogFull, StoreUnavailable
from contracts.envelope import UnreadableEvent
from contracts.events import Failure
from contracts.requests import ContentRequest, sentence
from contracts.subjects import WorkflowKey
from contracts.websocket import FRAME_BYTES_MAX, CloseCode, Frame, OldDialect
from contracts.workflow import RequestConflict
from services.gateway.desk import Desk, FateUnknown, ResearchIsOff
from services.gateway.tail import Tails

FIRST_FRAME_S = 30.0
"""How long a client may take to say what it wants."""

SEND_S = 10.0
"""How long a frame may take to leave. A client that does not read loses its socket, never the workflow."""

log = structlog.get_logger("gateway")


class BadFrame(Exception):
    """The client's frame is not what it should be; the message says what is wrong with it."""

    def __init__(self, message: str, code: int = CloseCode.BAD_FRAME) -> None:
        super().__init__(message)
        self.code = code


class Places:
    """How many websockets are served at a time, and how many may be."""

    def __init__(self, most: int) -> None:
        self._most, self._taken = most, 0

    @contextmanager
    def place(self) -> Generator[bool]:
        """Takes a place for a while. -> False when there was none left"""
        self._taken += 1
        try:
            yield self._taken <= self._most
        finally:
            self._taken -= 1


async def serve_content(socket: WebSocket, places: Places, desk: Desk, tails: Tails) -> None:
    """Serves one websocket from its first frame to its close."""
    await socket.accept()
    with places.place() as is_free:
        if is_free:
            await _serve(socket, desk, tails)
        else:
            told = "Too many websockets are open here; try again in a minute."
            await _refuse(socket, CloseCode.TOO_MANY, "too-many-sockets", told, retryable=True)


async def _serve(socket: WebSocket, desk: Desk, tails: Tails) -> None:
    try:
        request = await _first_frame(socket)
        key, _ = await desk.start(request)
    except WebSocketDisconnect:
        return
    except BadFrame as wrong:
        await _refuse(socket, wrong.code, "bad-frame", str(wrong))
    except ResearchIsOff as off:
        await _refuse(socket, CloseCode.BAD_FRAME, "research-is-off", str(off))
    except RequestConflict as conflict:
        await _refuse(socket, CloseCode.CONFLICT, "request-conflict", str(conflict))
    except LogFull:
        await _refuse(socket, CloseCode.TRY_AGAIN, "log-full", "The log is full; nothing was recorded.", retryable=True)
    except FateUnknown as unknown:
        await _refuse(socket, CloseCode.TRY_AGAIN, "fate-unknown", str(unknown), retryable=True)
    except (UnreadableEvent, HistoryDamaged) as wrong:
        told = f"The workflow of this request cannot be read here: {wrong}."
        await _refuse(socket, CloseCode.TRY_AGAIN, "history-unreadable", told)
    except StoreUnavailable:
        told = "The log does not answer at the moment; try again in a few seconds."
        await _refuse(socket, CloseCode.TRY_AGAIN, "log-unavailable", told, retryable=True)
    else:
        await _stream(socket, tails, key)


async def _first_frame(socket: WebSocket) -> ContentRequest:
    """What the client asks for. Raises BadFrame, WebSocketDisconnect."""
    try:
        message = await asyncio.wait_for(socket.receive(), FIRST_FRAME_S)
    except TimeoutError:
        raise BadFrame(f"No request came within {FIRST_FRAME_S:g} seconds.") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    text = message.get("text")
    if text is None:
        raise BadFrame("The request has to be a text frame.")
    if len(text.encode(errors="surrogatepass")) > FRAME_BYTES_MAX:
        raise BadFrame(f"The request is larger than {FRAME_BYTES_MAX // 1024} KiB.", CloseCode.FRAME_TOO_LARGE)
    return _parse(text)


def _parse(text: str) -> ContentRequest:
    try:
        fields: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise BadFrame('The request is not JSON. Send {"topic": "…", "research": true}.') from None
    if not isinstance(fields, dict):
        raise BadFrame('The request is not a JSON object. Send {"topic": "…", "research": true}.')
    if "type" in fields:
        raise BadFrame('This server speaks the first dialect only. Send {"topic": "…", "research": true}.')
    try:
        return ContentRequest.model_validate(fields)
    except ValidationError as wrong:
        raise BadFrame(sentence(wrong)) from None


async def _stream(socket: WebSocket, tails: Tails, key: WorkflowKey) -> None:
    """Sends the workflow's frames until its results are told or the client has gone."""
    sending = asyncio.create_task(_send_frames(socket, tails, key))
    listening = asyncio.create_task(_until_gone(socket))
    await asyncio.wait({sending, listening}, return_when=asyncio.FIRST_COMPLETED)
    for task in (sending, listening):
        task.cancel()
    for result in await asyncio.gather(sending, listening, return_exceptions=True):
        if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
            log.error("socket ended", workflow_id=key.workflow_id, why=f"{type(result).__name__}: {result}")
            told = "Something unexpected went wrong here; the gateway's log says what. The workflow goes on."
            await _refuse(socket, CloseCode.TRY_AGAIN, "unexpected", told, retryable=True)


async def _send_frames(socket: WebSocket, tails: Tails, key: WorkflowKey) -> None:
    dialect = OldDialect()
    try:
        async with tails.follow(key) as events:
            async for recorded in events:
                for frame in dialect.frames(recorded):
                    await _send(socket, frame)
                    if frame.type == "results":
                        await socket.close(CloseCode.DONE)
                        return
    except TimeoutError:
        log.info("slow client", workflow_id=key.workflow_id)
        with suppress(TimeoutError):  # what it has not read may be in the way of the close as well
            async with asyncio.timeout(SEND_S):
                await socket.close(CloseCode.TRY_AGAIN, "the client does not read; the workflow goes on")


async def _send(socket: WebSocket, frame: Frame) -> None:
    async with asyncio.timeout(SEND_S):
        await socket.send_text(frame.text())


async def _until_gone(socket: WebSocket) -> None:
    """Reads and drops whatever an old client still sends."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _refuse(socket: WebSocket, code: int, name: str, told: str, *, retryable: bool = False) -> None:
    try:
        await _send(
            socket, Frame(type="error", payload=told, error=Failure(code=name, message=told, retryable=retryable))
        )
        await socket.close(code)
    except (TimeoutError, WebSocketDisconnect, RuntimeError):
        log.info("client left before it was answered")
