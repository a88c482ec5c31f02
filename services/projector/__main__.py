"""Runs the projector: python -m services.projector"""

import asyncio
import sys

import structlog

from chassis.connection import Connection, NoAnswer
from chassis.event_store import NotAllowed
from chassis.health import Health, served
from chassis.jetstream_log import STREAM_INFO
from chassis.majority import Majority
from chassis.presence import announced
from chassis.process import CannotGoOn, connect, stop_signal, worker_name
from chassis.settings import Settings, load_settings
from chassis.telemetry import set_up_logs
from contracts.services import PROJECTOR
from services.projector.projector import Projector

log = structlog.get_logger("projector")


async def project(settings: Settings) -> None:
    """Projects until SIGTERM or SIGINT. Raises CannotGoOn, NotAllowed."""
    stopped = stop_signal()
    health = Health(nats=lambda: "there is no connection to NATS yet")
    async with served(health, settings.health_port):
        connection = await connect(settings, PROJECTOR, stopped)
        if connection is not None:
            try:
                await _project(connection, settings, health, stopped)
            finally:
                await connection.close()
    log.info("stopped")


async def _project(connection: Connection, settings: Settings, health: Health, stopped: "asyncio.Future[None]") -> None:
    projector = Projector(connection, settings.postgres_url.get_secret_value())
    majority = Majority(connection, STREAM_INFO)
    health.watch(nats=majority.trouble, projection=lambda: projector.trouble)
    health.measure(batch=projector.batch, unheard_bytes=connection.unheard)
    async with majority.watched(), announced(connection, PROJECTOR, health, worker=worker_name(PROJECTOR)):
        projecting = asyncio.create_task(projector.run())
        await asyncio.wait({stopped, projecting, connection.closed}, return_when=asyncio.FIRST_COMPLETED)
        # A batch that is cut short here is rolled back, and read again at the next start.
        projecting.cancel()
        (ended,) = await asyncio.gather(projecting, return_exceptions=True)
    if not stopped.done():
        raise CannotGoOn("the connection to NATS was closed" if connection.closed.done() else f"{ended!r}")


def main() -> None:
    """Exit code 0 after a clean stop, 1 when it cannot go on."""
    settings = load_settings()
    set_up_logs(PROJECTOR, settings.log_level, settings.log_format)
    try:
        asyncio.run(project(settings))
    except (NotAllowed, NoAnswer, CannotGoOn) as wrong:
        log.error("cannot go on", why=str(wrong))
        sys.exit(1)


if __name__ == "__main__":
    main()
