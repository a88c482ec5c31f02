"""A log on three servers: each copy is read from its own server, so a bad one is known by the server's name."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from chassis.connection import Connection
from chassis.jetstream_log import Entry, JetStreamLog
from chassis.jetstream_store import STREAM
from chassis.log_copies import log_copies
from chassis.settings import Settings
from chassis.setup import reconcile
from chassis.topology import CLUSTER, SET_UP
from contracts.services import PROJECTOR, STAGES
from local.servers import Running, servers, temporary_folder
from services.projector.log.guard import Guard
from services.projector.log.verify import Report, verify, words
from services.projector.setup import set_up
from tests.contracts.given import requested
from tests.services.projector.log.damage import flip_bit
from tests.services.projector.press import Press, new_key
from tests.waiting import until

SETTINGS = Settings.model_validate({"log_bytes_max": 1024**3, "log_replicas": 3})


class Cluster:
    """Three servers with a copy each, and what happens to one of them."""

    def __init__(self, running: Running, folder: Path) -> None:
        self.running, self._folder = running, folder

    def url_without(self, number: int) -> str:
        """The addresses of the two others."""
        urls = self.running.nats_url.split(",")
        return ",".join(urls[: number - 1] + urls[number:])

    async def connect(self, user: str, *, without: int) -> Connection:
        """A connection to a server that is not this one."""
        return await Connection.open(
            self.url_without(without), user=user, password=self.running.passwords[user], name="test"
        )

    def settings(self, *, without: int) -> Settings:
        """What the command is told."""
        return Settings.model_validate(
            {
                "nats_url": self.url_without(without),
                "nats_password": self.running.passwords[PROJECTOR],
                "postgres_url": self.running.postgres_url(PROJECTOR),
            }
        )

    async def flip_bit(self, number: int) -> None:
        """In the copy of this server, which is stopped cleanly with it and starts again."""
        pid = self._freeze(number)
        (block,) = (self._folder / f"nats-{number}").glob("store/**/streams/WORKFLOW/msgs/*.blk")
        flip_bit(block)
        await self._end(number, pid, signal.SIGTERM)

    async def lose_store(self, number: int) -> None:
        """Moves the store of this server away, and has it start again without."""
        pid = self._freeze(number)
        shutil.rmtree(self._folder / f"nats-{number}" / "store")
        await self._end(number, pid, signal.SIGKILL)

    def _freeze(self, number: int) -> int:
        pid = self.running.pid(f"nats-{number}")
        os.kill(pid, signal.SIGSTOP)
        return pid

    async def _end(self, number: int, pid: int, how: signal.Signals) -> None:
        os.kill(pid, how)
        os.kill(pid, signal.SIGCONT)

        async def is_back() -> bool:
            return self.running.pid(f"nats-{number}") != pid

        await until(is_back, "the server is started again")


@pytest.fixture(scope="module")
def cluster() -> Generator[Cluster]:
    with temporary_folder() as folder, servers(folder, nats=True, postgres=True, nodes=3) as running:
        cluster = Cluster(running, folder)

        async def prepare() -> None:
            connection = await cluster.connect(SET_UP, without=0)
            await reconcile(connection, SETTINGS)
            await connection.close()
            await set_up(running.postgres_url())

        asyncio.run(prepare())
        yield cluster


@pytest.fixture
async def press(cluster: Cluster) -> AsyncGenerator[Press]:
    """With twenty events that are archived."""
    async with AsyncExitStack() as stack:
        press = Press(cluster.running, stack)
        for _ in range(20):  # a single event each, as the next one's reader might meet a copy that lags
            await press.record(new_key(), requested())
        await press.project()
        yield press


async def read_apart(log: JetStreamLog) -> tuple[dict[str, list[int]], dict[str, int]]:
    """The positions that each copy gives, and the servers that gave none."""
    state = await log.state()
    async with log_copies(log.connection, state) as copies:
        stretch = await copies.read(0, state.last)
        return {server: positions(entries) for server, entries in stretch.copies.items()}, copies.away


def positions(entries: list[Entry]) -> list[int]:
    return [entry.position for entry in entries]


async def test_bad_copy_is_told_with_its_server_and_fetched_anew_once_its_store_is_gone(
    cluster: Cluster, press: Press, capsys: pytest.CaptureFixture[str]
) -> None:
    number, last = await a_follower(press), await (await press.log()).end()
    server = f"{CLUSTER}-{number}"
    async with press.projecting() as projector:
        await press.until_projected()
        await cluster.flip_bit(number)
        connection = await cluster.connect(PROJECTOR, without=number)
        log, everything = JetStreamLog(connection), list(range(1, last + 1))

        async def found() -> list[int] | None:
            copies, _ = await read_apart(log)
            return sorted(set(everything) - set(copies[server])) if server in copies else None

        (bad,) = await until(found, "the server gives its copy again")
        copies, away = await read_apart(log)
        assert not away and [name for name, held in copies.items() if held != everything] == [server]

        told = f"the log's copy on {server} cannot give position {bad}, which was archived"
        assert await projector.guard.look() == told
        await press.until_trouble(projector, told)
        assert await verify(cluster.settings(without=number)) == 1
        out, _ = capsys.readouterr()
        assert f"{server} cannot give what was archived at position {bad}\n" in out and out.count(CLUSTER) == 1

        await cluster.lose_store(number)
        assert await Guard(log, press.running.postgres_url(PROJECTOR)).look() is None

        async def is_content() -> bool:
            return await projector.guard.look() is None

        await until(is_content, "the projector is out of doubt")
        await press.until_projected(await press.record(new_key(), requested()))

        async def is_whole() -> bool:
            copies, _ = await read_apart(log)
            return copies.get(server) == [*everything, last + 1]

        await until(is_whole, "the copy was fetched anew")
        await connection.close()


async def test_reading_copies_leaves_no_consumer_behind(press: Press) -> None:
    await read_apart(await press.log())
    assert sorted((await press.api(f"CONSUMER.NAMES.{STREAM}"))["consumers"]) == sorted(STAGES)


async def test_server_that_stands_still_is_left_out(cluster: Cluster, press: Press) -> None:
    frozen = await a_follower(press)
    connection = await cluster.connect(PROJECTOR, without=frozen)
    log = JetStreamLog(connection)
    everything = list(range(1, await log.end() + 1))
    pid = press.running.pid(f"nats-{frozen}")
    os.kill(pid, signal.SIGSTOP)
    try:

        async def others_are_read() -> bool:
            copies, away = await read_apart(log)
            return list(away) == [f"{CLUSTER}-{frozen}"] and list(copies.values()) == [everything] * 2

        await until(others_are_read, "the two others are read, and nothing is missed")
    finally:
        os.kill(pid, signal.SIGCONT)
    await connection.close()


async def a_follower(press: Press) -> int:
    """The number of a server that does not lead the log: so nobody waits for another leader."""
    state = await (await press.log()).state()
    return int(next(name for name in state.servers if name != state.leader).rpartition("-")[2])


def test_copy_that_was_left_out_is_told_and_no_difference() -> None:
    told = list(words(Report("one", archived=20, end=20, copies=3, events=20, away={"pressroom-3": 0})))
    assert told == [
        "Compared the log one in 3 copies with its archive up to position 20:",
        "  20 events, no difference",
        "  pressroom-3 could not be compared: it is away, or still fetches what it lacks from the others",
    ]
