"""A web application on a real port of this machine, for as long as a test needs it."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from chassis.health import QuietServer
from tests.listening import listener as listening


@asynccontextmanager
async def served(app: Any, listener: socket.socket | None = None, **options: Any) -> AsyncGenerator[str]:
    """-> host and port. `options` are uvicorn's. Connections are taken in from the first moment."""
    listener = listener or listening()
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1, **options
    )
    server = QuietServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        host, port = listener.getsockname()[:2]
        yield f"{host}:{port}"
    finally:
        server.should_exit = True
        await serving
