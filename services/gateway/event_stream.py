"""A workflow's events as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Each event once, in order, under its revision as `id`; `delta`s between them; a comment when nothing happens for a
while. The stream ends with the run.
"""

import asyncio
import re
from contextlib import suppress

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chassis.event_store import History, HistoryDamaged
from contracts.deltas import Delta
from contracts.envelope import UnreadableEvent
from contracts.websocket import delta_frame
from contracts.workflow import fold, is_closed_after
from services.gateway.full_dialect import HEARTBEAT_S, event_text
from services.gateway.parts import Parts
from services.gateway.problems import TOO_MANY_STREAMS, problem
from services.gateway.refusals import UNEXPECTED, refusal
from services.gateway.sockets import SEND_S, UNREAD_S, beat, until_first
from services.gateway.tail import Heard

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Proxies must neither keep nor gather what is live."""

LINE_ENDS = re.compile("[\x85\u2028\u2029]")

log = structlog.get_logger("gateway")


class EventStream(Response):
    """The answer to one client: all behind revision `after`, until the run that is open, or was the last, has ended.

    Where the gateway stops, it ends as well: the client continues with another one, behind the last revision.
    """

    def __init__(self, parts: Parts, history: History, after: int) -> None:
        super().__init__(media_type="text/event-stream", headers=HEADERS)
        del self.headers["content-length"]
        self._parts, self._history, self._after = parts, history, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        with self._parts.places.place() as is_free:
            if not is_free:
                await problem(TOO_MANY_STREAMS)(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            wire = _Wire(send)
            closing = self._parts.places.closing
            try:
                beating = beat(HEARTBEAT_S, lambda: wire.said_at, wire.say_heartbeat)
                await until_first(self._tell(wire), beating, _until_gone(receive), closing.wait())
                await wire.end()
            except TimeoutError:
                log.info("slow client", workflow_id=self._history.key.workflow_id)
            else:
                return
        await until_first(wire.end_once_read(), _until_gone(receive))

    async def _tell(self, wire: "_Wire") -> None:
        """Tells all until the end, or why that cannot be."""
        try:
            await self._tell_events(wire)
        except (UnreadableEvent, HistoryDamaged) as wrong:
            told = refusal(wrong) or UNEXPECTED
            await wire.say(f"event: error\ndata: {told.frame.text()}\n\n")

    async def _tell_events(self, wire: "_Wire") -> None:
        is_closed = fold(recorded.event for recorded in self._history.recorded[: self._after]).is_closed
        async with self._parts.tails.watch(self._history.key, after=self._after) as heard:
            async for one in heard:
                await wire.say(self._message(one))
                if isinstance(one, Delta):
                    continue
                is_closed = is_closed_after(one.event, was_closed=is_closed)
                if is_closed and one.revision >= self._history.revision:  # the end of an earlier run is not the end
                    return

    def _message(self, heard: Heard) -> str:
        if isinstance(heard, Delta):
            return f"event: delta\ndata: {_line(delta_frame(self._history.key.workflow_id, heard).text())}\n\n"
        return f"id: {heard.revision}\nevent: {heard.event.type}\ndata: {_line(event_text(heard))}\n\n"


class _Wire:
    """The body of the answer, piece by piece. Raises TimeoutError for a client that does not read."""

    def __init__(self, send: Send) -> None:
        self._send, self._turn = send, asyncio.Lock()
        self.said_at = asyncio.get_running_loop().time()
        """When the last piece left, by the loop's clock."""

    async def say(self, text: str) -> None:
        await self._body(text, more=True)

    async def end(self) -> None:
        await self._body("", more=False)

    async def say_heartbeat(self) -> None:
        """A comment, which clients pass over."""
        await self.say(": heartbeat\n\n")

    async def end_once_read(self) -> None:
        """Ends the body of a client that reads again, if it ever does; where it does not, the kernel cuts it off."""
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * UNREAD_S):
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _body(self, text: str, *, more: bool) -> None:
        async with asyncio.timeout(SEND_S), self._turn:
            await self._send({"type": "http.response.body", "body": text.encode(), "more_body": more})
        self.said_at = asyncio.get_running_loop().time()


def _line(json: str) -> str:
    """The same JSON without what some clients take for the end of a line, though here only CR and LF are."""
    return LINE_ENDS.sub(lambda end: f"\\u{ord(end[0]):04x}", json)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
