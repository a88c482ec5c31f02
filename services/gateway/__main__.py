"""Runs the gateway: python -m services.gateway [--entrance FILE]

FILE: the number of an open socket at which clients come in. Whoever keeps gateways running may hand it over, and keeps
it open while one takes the place of another.
"""

import argparse
import asyncio
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import structlog
import uvicorn

from chassis.connection import Connection, NoAnswer
from chassis.event_store import NotAllowed
from chassis.health import Health, QuietServer
from chassis.jetstream_log import STREAM_INFO
from chassis.jetstream_store import JetStreamStore
from chassis.log_clock import LogClock
from chassis.majority import NO_CONNECTION, Majority
from chassis.object_store import S3Store
from chassis.presence import announced
from chassis.process import CannotGoOn, reached, stop_signal, unconnected, worker_name
from chassis.settings import Settings, load_settings
from chassis.standing import has_history
from chassis.telemetry import set_up_logs
from contracts.services import GATEWAY
from services.gateway.app import make_app
from services.gateway.desk import Desk
from services.gateway.library import Library
from services.gateway.lookout import Lookout
from services.gateway.parts import Parts
from services.gateway.protocols import HttpProtocol, WebsocketProtocol
from services.gateway.refolding import Refolds
from services.gateway.roll import Roll
from services.gateway.sockets import UNREAD_S, Places
from services.gateway.tail import Tails

SOCKET_FRAME_BYTES_MAX = 1024**2
"""Above this uvicorn itself closes a websocket (1009); between 64 KiB and this, the client is told why."""

SEND_BUFFER_BYTES = 65_536
"""Of one connection in the kernel: a client that never reads would otherwise absorb 4 MB before it is noticed."""

GOODBYE_S = 3

BEGINNING_S = 2.0
"""So long a gateway waits for the log before it takes clients in: who comes back a moment later is not refused."""

log = structlog.get_logger("gateway")


async def serve(settings: Settings, entrance: int | None = None) -> None:
    """Serves until SIGTERM or SIGINT. Raises CannotGoOn, NotAllowed, OSError where the port is taken.

    Where the log is away at the start, clients are answered all the same: what needs it is refused, the rest is served.
    """
    stopped = stop_signal()
    listener = bind(settings.host, settings.port) if entrance is None else equipped(socket.socket(fileno=entrance))
    connection = unconnected(settings, GATEWAY)
    library = await Library.open(settings.postgres_url.get_secret_value())
    roll = Roll()
    gallery = S3Store(settings)
    majority, clock = Majority(connection, STREAM_INFO), LogClock()
    parts = _parts(settings, connection, library=library, gallery=gallery, roll=roll, majority=majority, clock=clock)
    beginning = asyncio.create_task(_begin(connection, settings, roll, stopped))
    try:
        await asyncio.wait({beginning}, timeout=BEGINNING_S)
        if not beginning.done() or beginning.result():
            async with _serving(_server(parts), listener, parts.places) as serving:
                if await beginning:
                    announcing = announced(connection, GATEWAY, parts.health, worker=worker_name(GATEWAY))
                    async with majority.watched(), clock.watched(connection, STREAM_INFO), announcing:
                        log.info("ready", address=f"http://{settings.host}:{settings.port}")
                        await asyncio.wait({serving, stopped, connection.closed}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        listener.close()
        await library.close()
        gallery.close()
        await connection.close()
    if not stopped.done():
        raise CannotGoOn("the connection to NATS was closed")
    log.info("stopped")


async def _begin(connection: Connection, settings: Settings, roll: Roll, stopped: "asyncio.Future[None]") -> bool:
    """Waits as long as it takes for the log. -> False when the process was asked to stop meanwhile"""
    is_there = await reached(connection, settings, GATEWAY, stopped)
    if is_there:
        await roll.listen(connection)
    return is_there


@asynccontextmanager
async def _serving(
    server: QuietServer, listener: socket.socket, places: Places
) -> AsyncGenerator["asyncio.Task[None]"]:
    """Serves for as long as the block runs; then the clients are sent away."""
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield serving
    finally:
        places.closing.set()
        server.should_exit = True
        await serving


def _parts(
    settings: Settings,
    connection: Connection,
    *,
    library: Library,
    gallery: S3Store,
    roll: Roll,
    majority: Majority,
    clock: LogClock,
) -> Parts:
    store = JetStreamStore(connection, GATEWAY, clock=clock)
    health = Health(nats=lambda: majority.trouble() if roll.is_listening else NO_CONNECTION)
    health.can_do_without(tables=library.trouble, pictures=gallery.trouble, clock=clock.trouble)
    tails, places = Tails(connection, store), Places(settings.sockets_max)
    health.measure(streams=places.taken, live=tails.waiting, reads=library.reads, unheard_bytes=connection.unheard)
    return Parts(
        desk=Desk(
            store,
            researches=settings.researcher != "none",
            trouble=majority.lacking,
            is_known=partial(has_history, connection),
        ),
        tails=tails,
        library=library,
        gallery=gallery,
        health=health,
        lookout=Lookout(connection, library, roll),
        refolds=Refolds(connection),
        places=places,
        origins=settings.origins,
    )


def _server(parts: Parts) -> QuietServer:
    return QuietServer(
        uvicorn.Config(
            make_app(parts),
            http=HttpProtocol,
            ws=WebsocketProtocol,
            ws_max_size=SOCKET_FRAME_BYTES_MAX,
            ws_per_message_deflate=False,  # it costs 34 KB a socket and half the throughput
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GOODBYE_S,
            timeout_keep_alive=30,
        )
    )


def bind(host: str, port: int) -> socket.socket:
    """Where clients come in. Raises OSError where it is taken.

    The protocol is named, because asyncio sends small writes at once only where it is: else an answer's body would wait
    44 ms for the client's word that its head has come.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = equipped(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def equipped(listener: socket.socket) -> socket.socket:
    """The same, with limits to what one client may hold up; the sockets that it accepts inherit them."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux has it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(UNREAD_S * 1000))
    return listener


def main() -> None:
    """Exit code 0 after a clean stop, 1 when it cannot go on."""
    parser = argparse.ArgumentParser("python -m services.gateway")
    parser.add_argument("--entrance", type=int, metavar="FILE", help="an open socket at which clients come in")
    entrance: int | None = parser.parse_args().entrance
    settings = load_settings()
    set_up_logs(GATEWAY, settings.log_level, settings.log_format)
    try:
        asyncio.run(serve(settings, entrance))
    except (NotAllowed, NoAnswer, CannotGoOn, OSError) as wrong:
        log.error("cannot go on", why=str(wrong))
        sys.exit(1)


if __name__ == "__main__":
    main()
