"""A server of the log that is cut off from the others: it runs, it takes clients in, and nothing is lost by that."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from chaos.press import pressed_nats
from chaos.routes import Routes
from chaos.wire.moments import Board
from chassis import connection as connection_rules
from chassis import majority as majority_rules
from chassis.connection import Connection, NoAnswer
from chassis.event_store import History, StoreUnavailable
from chassis.jetstream_log import STREAM_INFO, JetStreamLog
from chassis.jetstream_store import JetStreamStore
from chassis.majority import Majority
from chassis.standing import has_history, log_standing
from chassis.topology import SET_UP
from contracts.events import Brief, WorkflowRequested
from contracts.platforms import Platform
from contracts.services import GATEWAY
from contracts.subjects import WorkflowKey
from local.nats import Nats, settle_nodes
from local.servers import temporary_folder
from local.state import DataDirectory
from tests.services.gateway.nats_server import started
from tests.waiting import until

REQUESTED = WorkflowRequested(topic="tea", research=False, platforms=(Platform.LINKEDIN,), brief=Brief())


class Pressed:
    """Three servers whose ways to each other are the test's."""

    def __init__(self, servers: list[Nats], routes: Routes) -> None:
        self._servers, self.routes = servers, routes

    @asynccontextmanager
    async def connection(self, number: int, user: str = SET_UP, *, urls: str = "") -> AsyncGenerator[Connection]:
        """A connection to this server, or to these."""
        nats = self._servers[number - 1]
        url = urls or nats.url.split(",")[number - 1]
        connection = await Connection.open(url, user=user, password=nats.passwords[user], name="test")
        try:
            yield connection
        finally:
            await connection.close()

    def url_of(self, number: int) -> str:
        return self._servers[0].url.split(",")[number - 1]

    async def one(self, *, leads: bool) -> int:
        """The number of a server that leads the log, or does not."""
        async with self.connection(1) as connection:
            told = await log_standing(connection, timeout_s=10)
        return next(int(one.server.rpartition("-")[2]) for one in told.replicas if one.is_leader is leads)


@asynccontextmanager
async def pressed() -> AsyncGenerator[Pressed]:
    with temporary_folder() as folder:
        data, routes = DataDirectory(folder / "data"), Routes(DataDirectory(folder / "data"), 3, Board())
        with data.held("no address, as these are servers for a test"):
            settle_nodes(data, 3)
            servers = pressed_nats(data, routes=await routes.listen())
            try:
                async with started(servers):
                    yield Pressed(servers, routes)
            finally:
                await routes.close()


@pytest.mark.parametrize("silently", [True, False])
async def test_whoever_is_connected_to_it_goes_to_another_and_its_copy_is_whole_again_when_it_is_joined(
    silently: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(majority_rules, "LOOK_S", 0.2)
    monkeypatch.setattr(majority_rules, "TIMEOUT_S", 0.4)
    monkeypatch.setattr(connection_rules, "UNSERVED_S", 0.5)
    async with pressed() as press:
        lone = await press.one(leads=False)
        other = lone % 3 + 1
        press.routes.isolate(lone, silently=silently)
        urls, moved = f"{press.url_of(lone)},{press.url_of(other)}", asyncio.Event()
        async with begun_at(press, lone, urls) as gateway, press.connection(lone) as watcher:
            gateway.on_reconnect.append(moved.set)
            with pytest.raises(NoAnswer):  # it takes clients in, and cannot serve them
                await watcher.ask(STREAM_INFO, b"", timeout_s=0.5)
            async with Majority(gateway, STREAM_INFO).watched(), asyncio.timeout(20):
                await moved.wait()
            key = WorkflowKey("local", "w")
            stored = await JetStreamStore(gateway, GATEWAY).append(History(key), REQUESTED, id="one")
            assert await has_history(gateway, key) and not await has_history(gateway, WorkflowKey("local", "other"))
            press.routes.join(lone)

            async def is_whole() -> bool:
                with suppress(StoreUnavailable):
                    entries = await JetStreamLog(watcher).read(0)
                    return [entry.position for entry in entries] == [stored.position]
                return False

            await until(is_whole, "the copy is whole again", within_s=30)


async def test_leader_that_is_cut_off_calls_nothing_unknown_that_the_next_one_has_taken_in() -> None:
    async with pressed() as press:
        lone = await press.one(leads=True)
        others = ",".join(press.url_of(number) for number in (1, 2, 3) if number != lone)
        press.routes.isolate(lone, silently=True)
        key = WorkflowKey("local", "w")
        async with (
            press.connection(lone, GATEWAY, urls=others) as gateway,
            begun_at(press, lone, f"{press.url_of(lone)},{others}") as left_alone,
        ):
            await JetStreamStore(gateway, GATEWAY).append(History(key), REQUESTED, id="one")
            with pytest.raises(StoreUnavailable):
                await has_history(left_alone, key)


@asynccontextmanager
async def begun_at(press: Pressed, number: int, urls: str) -> AsyncGenerator[Connection]:
    """A connection that knows all of these, and is at this server."""
    while True:
        async with press.connection(number, GATEWAY, urls=urls) as connection:
            address = connection._client.connected_url  # pyright: ignore[reportPrivateUsage]
            if address and address.geturl() == press.url_of(number):
                yield connection
                return
