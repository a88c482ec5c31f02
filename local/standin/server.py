"""The running server: uvicorn, with connections that a planned fault can break and a stop that waits for nobody."""

import asyncio
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .app import create_app


class Connection(H11Protocol):
    """Leaves its transport where the routes find it (`scope["state"]`); ASGI itself has no word for a broken line."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Hung calls would be waited for: every line is dropped first."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.transport.abort()
        await super().shutdown(sockets)


def make_server(*, host: str, port: int, latency_s: float) -> Server:
    config = uvicorn.Config(
        create_app(latency_s),
        host=host,
        port=port,
        http=Connection,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=120,  # longer than any client's: the server never closes a line that is about to be used
        timeout_graceful_shutdown=1,
    )
    return Server(config)
