"""A websocket as the dialects use it: frames in and out within their bounds, and an end that the client is told."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, cast

from fastapi import WebSocket, WebSocketDisconnect
from starlette.types import Message

from chassis.health import Queue
from contracts.websocket import FRAME_BYTES_MAX, CloseCode

SEND_S = 10.0
"""How long a frame may take to leave. A client that does not read loses its socket, never the workflow."""

UNREAD_S = 30.0
"""How long what was sent may lie unread; then the kernel cuts the connection, with all that it still held."""

EXAMPLE = 'Send {"topic": "…", "research": true}, or {"type": "start", "topic": "…"}.'


class BadFrame(Exception):
    """The client's frame is not what it should be; the message says what is wrong with it."""

    def __init__(self, message: str, code: int = CloseCode.BAD_FRAME) -> None:
        super().__init__(message)
        self.code = code


class SlowClient(Exception):
    """The client does not read; the workflow goes on."""


class Places:
    """How many live streams are served at a time, and how many may be."""

    def __init__(self, most: int) -> None:
        self._most, self._taken = most, 0
        self.closing = asyncio.Event()
        """Set when the gateway stops. Websockets are told by the server; streams of events end by this."""

    def taken(self) -> Queue:
        """How many are served now."""
        return Queue(self._taken, self._most)

    @contextmanager
    def place(self) -> Generator[bool]:
        """Takes a place for a while. -> False when there was none left"""
        if self._taken >= self._most:  # who is sent away takes nobody's place, however long that takes
            yield False
            return
        self._taken += 1
        try:
            yield True
        finally:
            self._taken -= 1


class Socket:
    """One accepted websocket. Frames of several tasks leave one after the other."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._turn = asyncio.Lock()
        self.said_at = asyncio.get_running_loop().time()
        """When the last frame left, by the loop's clock."""

    async def hear(self) -> dict[str, Any]:
        """The next frame from the client. Raises BadFrame, WebSocketDisconnect."""
        text = (await self._receive()).get("text")
        if text is None:
            raise BadFrame("The request has to be a text frame.")
        if len(text.encode(errors="surrogatepass")) > FRAME_BYTES_MAX:
            raise BadFrame(f"The request is larger than {FRAME_BYTES_MAX // 1024} KiB.", CloseCode.FRAME_TOO_LARGE)
        return _fields(text)

    async def ignore(self) -> NoReturn:
        """Reads and drops whatever the client still sends. Raises WebSocketDisconnect when it goes."""
        while True:
            await self._receive()

    async def say(self, text: str) -> None:
        """Sends a frame. Raises SlowClient, WebSocketDisconnect."""
        try:
            async with asyncio.timeout(SEND_S), self._turn:
                await self._websocket.send_text(text)
        except TimeoutError:
            raise SlowClient((SlowClient.__doc__ or "").strip()) from None
        except RuntimeError:  # uvicorn has closed it: the client did not answer its pings, or broke the protocol
            raise WebSocketDisconnect(1006) from None
        self.said_at = asyncio.get_running_loop().time()

    async def close(self, code: int, reason: str | None = None) -> None:
        """Closes; what the client has not read, or that it has gone, is no trouble."""
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(SEND_S):
                await self._websocket.close(code, reason)

    async def _receive(self) -> Message:
        """What the client sent next. However much has come at once, others have their turn before each of it."""
        await asyncio.sleep(0)
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        return message


def _fields(text: str) -> dict[str, Any]:
    try:
        fields: object = json.loads(text)
    except (ValueError, RecursionError):
        raise BadFrame(f"The request is not JSON. {EXAMPLE}") from None
    if not isinstance(fields, dict):
        raise BadFrame(f"The request is not a JSON object. {EXAMPLE}")
    return cast(dict[str, Any], fields)


async def beat(every_s: float, said_at: Callable[[], float], say: Callable[[], Awaitable[None]]) -> NoReturn:
    """Says something after each silence, so that the client, and whoever sits between, sees that the connection stands.

    `said_at`: when something was said last, by the loop's clock; `say` moves it.
    """
    now = asyncio.get_running_loop().time
    while True:
        await asyncio.sleep(max(0.0, said_at() + every_s - now()))
        if now() - said_at() >= every_s:
            await say()


async def until_first(*works: Coroutine[Any, Any, object]) -> None:
    """Runs them side by side until the first has ended, and stops the others. Raises what that one raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for wrong in ended:
        if isinstance(wrong, Exception):
            raise wrong
