"""A task that a person starts beside the projector: connected to the log and to the tables for as long as it takes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from chassis.connection import Connection as Nats
from chassis.connection import NoAnswer
from chassis.database import DatabaseUnavailable, DataRefused, open_connection
from chassis.event_store import NotAllowed, StoreUnavailable
from chassis.jetstream_log import JetStreamLog
from chassis.settings import Settings
from contracts.services import PROJECTOR

if TYPE_CHECKING:
    from chassis.database import Connection

CONNECT_S = 5.0
"""A service waits for NATS as long as it takes; a person who started a task wants to know."""

TROUBLE = (StoreUnavailable, NoAnswer, NotAllowed, DatabaseUnavailable, DataRefused)
"""What the servers' being away, or their refusing, is called."""


@asynccontextmanager
async def connected(
    settings: Settings, name: str, *, command_timeout_s: float, silence_s: float = 0, transaction_s: float = 0
) -> "AsyncGenerator[tuple[JetStreamLog, Connection]]":
    """The log and the tables, with the projector's rights; the limits are those of `open_connection`.

    Raises what stands in TROUBLE.
    """
    limits = {"command_timeout_s": command_timeout_s, "silence_s": silence_s, "transaction_s": transaction_s}
    async with both_servers(settings, name, **limits) as (nats, connection):
        yield JetStreamLog(nats), connection


@asynccontextmanager
async def both_servers(
    settings: Settings, name: str, *, command_timeout_s: float, silence_s: float = 0, transaction_s: float = 0
) -> "AsyncGenerator[tuple[Nats, Connection]]":
    """NATS and Postgres themselves, as the users that the settings name. Raises what stands in TROUBLE."""
    nats = await _nats(settings, name)
    try:
        connection = await open_connection(
            settings.postgres_url.get_secret_value(),
            name=name,
            command_timeout_s=command_timeout_s,
            silence_s=silence_s,
            transaction_s=transaction_s,
        )
        try:
            yield nats, connection
        finally:
            connection.terminate()
    finally:
        await nats.close()


async def _nats(settings: Settings, name: str) -> Nats:
    user, password = settings.nats_user or PROJECTOR, settings.nats_password.get_secret_value()
    try:
        async with asyncio.timeout(CONNECT_S):
            return await Nats.open(settings.nats_url, user=user, password=password, name=name)
    except TimeoutError as late:
        raise StoreUnavailable(f"NATS does not answer at {settings.nats_url}.") from late
