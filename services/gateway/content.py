"""`ws /content`: takes a websocket in, hears from its first frame which dialect it speaks, and tells it how it ends.

The workflow does not depend on the socket: one that goes away leaves it running.
"""

import asyncio
from contextlib import suppress

import structlog
from fastapi import WebSocket, WebSocketDisconnect

from contracts.websocket import CloseCode, error_frame
from services.gateway.desk import Desk
from services.gateway.full_dialect import converse
from services.gateway.old_dialect import recite
from services.gateway.refusals import UNEXPECTED, Refusal, refusal
from services.gateway.sockets import BadFrame, Places, SlowClient, Socket
from services.gateway.tail import Tails

FIRST_FRAME_S = 30.0
"""How long a client may take to say what it wants."""

NO_PLACE = Refusal(
    CloseCode.TOO_MANY,
    error_frame("too-many-sockets", "Too many websockets are open here; try again in a minute.", retryable=True),
)

log = structlog.get_logger("gateway")


async def serve_content(websocket: WebSocket, places: Places, desk: Desk, tails: Tails) -> None:
    """Serves one websocket from its first frame to its close."""
    await websocket.accept()
    socket = Socket(websocket)
    with places.place() as is_free:
        if not is_free:
            await _refuse(socket, NO_PLACE)
            return
        (ended,) = await asyncio.gather(_serve(socket, desk, tails), return_exceptions=True)
        match ended:
            case None | WebSocketDisconnect():
                pass
            case SlowClient():
                log.info("slow client")
                await socket.close(CloseCode.TRY_AGAIN, "the client does not read; the workflow goes on")
            case Exception():
                await _refuse(socket, refusal(ended) or _unexpected(ended))
            case _:
                raise ended


async def _serve(socket: Socket, desk: Desk, tails: Tails) -> None:
    try:
        async with asyncio.timeout(FIRST_FRAME_S):
            fields = await socket.hear()
    except TimeoutError:
        raise BadFrame(f"No request came within {FIRST_FRAME_S:g} seconds.") from None
    if "type" in fields:
        await converse(socket, fields, desk, tails)
    else:
        await recite(socket, fields, desk, tails)


def _unexpected(wrong: Exception) -> Refusal:
    log.error("socket ended", exc_info=wrong)
    return UNEXPECTED


async def _refuse(socket: Socket, why: Refusal) -> None:
    with suppress(SlowClient, WebSocketDisconnect, RuntimeError):  # it may have left before it was answered
        await socket.say(why.frame.text())
    await socket.close(why.close)
