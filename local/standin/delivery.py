"""Sends a reply at its pace, breaks it off where the plan says so, and notes how the call ended."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Sequence

from starlette.responses import StreamingResponse
from starlette.types import Send

from .calls import Call
from .faults import Do
from .replies import Reply


class Delivery(StreamingResponse):
    """Starlette cancels `stream_response` when the client goes; a planned break is a client that goes, too."""

    def __init__(self, reply: Reply, call: Call, pieces: AsyncIterator[bytes]) -> None:
        super().__init__(pieces, reply.status, reply.headers, reply.media_type)
        self.pieces = pieces
        self.call = call
        self.outcome = "answered" if reply.status < 400 else f"failed:{reply.status}"

    async def stream_response(self, send: Send) -> None:
        """The head goes out with the first piece: a call that hangs has answered nothing at all."""
        headed = False
        try:
            async for piece in self.pieces:
                if not headed:
                    await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                    headed = True
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            self.call.end(self.outcome)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except asyncio.CancelledError:
            self.call.end("client-gone")
            raise


async def play(
    reply: Reply, fault: Do, call: Call, transport: asyncio.Transport, *, begun: float, seconds: float
) -> AsyncIterator[bytes]:
    """The reply's bytes as the fault lets them through; `begun` is a monotonic time."""
    await asyncio.sleep(fault.delay_s or 0)
    if fault.hang:
        call.outcome = "hung"
        await asyncio.Event().wait()
    if fault.reset:
        call.outcome = "reset"
        linger = struct.pack("ii", 1, 0)  # for no time at all: the client sees a reset, not an orderly end
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await break_off(transport)
    if fault.malformed:
        call.outcome = "malformed"
    pause = 0 if reply.status >= 400 else seconds / len(reply.pieces)  # failures come at once
    pieces = first_half(reply.pieces) if fault.cut else reply.pieces
    for number, piece in enumerate(pieces, 1):
        await asyncio.sleep(begun + (fault.delay_s or 0) + number * pause - time.monotonic())
        yield piece
    if fault.cut:
        call.outcome = "cut"
        await break_off(transport)


def first_half(pieces: Sequence[bytes]) -> Sequence[bytes]:
    return pieces[: len(pieces) // 2] if len(pieces) > 1 else [pieces[0][: len(pieces[0]) // 2]]


async def break_off(transport: asyncio.Transport) -> None:
    transport.abort()
    await asyncio.Event().wait()  # until the server has noticed, and cancels
