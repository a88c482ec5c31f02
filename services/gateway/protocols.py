"""HTTP and websockets on the wire, as uvicorn speaks them, but for two ends that it leaves open.

A request that never comes whole would hold its connection for ever; and who comes in while the gateway stops would be
told of a fault.
"""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

ARRIVAL_S = 20.0
"""How long a request, a websocket's handshake included, may take to come whole: it has 64 KiB at most."""


class HttpProtocol(H11Protocol):
    """See uvicorn's."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Somebody is there, and has said nothing yet."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """A piece of a request, or all of it."""
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY) or self.transport.get_protocol() is not self:
            self._stop_waiting()
        elif self._late is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._late = self.loop.call_later(ARRIVAL_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class WebsocketProtocol(WebSocketsSansIOProtocol):
    """See uvicorn's."""

    def shutdown(self) -> None:
        """The gateway stops. A handshake under way is hung up on, as by a gateway that has gone: 500 would be a lie."""
        if self.handshake_complete or self.close_sent:
            super().shutdown()
        else:
            self.stop_keepalive()
            self.transport.close()
