"""The proxy on the way to a real NATS server: what it lets through, what it sees, and how it breaks the way."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator

import pytest
import pytest_asyncio

from chaos.wire.moments import Board, Cuttable, Moment, Point, Trap
from chaos.wire.nats import NatsTalk
from chaos.wire.proxy import Proxy, with_wrong_bit
from chassis.connection import Connection, NoAnswer
from chassis.event_store import History, OutcomeUnknown
from chassis.jetstream_store import JetStreamStore
from chassis.settings import Settings
from chassis.setup import reconcile
from chassis.topology import SET_UP
from contracts.events import Brief, WorkflowRequested
from contracts.platforms import Platform
from contracts.subjects import WorkflowKey
from local.servers import Running, servers
from tests.waiting import until

REQUESTED = WorkflowRequested(topic="tea", research=False, platforms=(Platform.LINKEDIN,), brief=Brief())


@pytest.fixture(scope="module")
def running() -> Generator[Running]:
    with servers(nats=True) as started:
        yield started


@contextlib.asynccontextmanager
async def opened(running: Running, url: str, user: str) -> AsyncGenerator[Connection]:
    connection = await Connection.open(url, user=user, password=running.passwords[user], name="test")
    try:
        yield connection
    finally:
        await connection.close()


class Press:
    """A proxy to the running server, with the board on which it tells what it sees."""

    def __init__(self, running: Running) -> None:
        self.running, self.board = running, Board()
        self.seen: list[Moment] = []
        self.unanswered: list[str] = []
        self.board.listeners.append(self.seen.append)
        port = int(running.nats_url.rpartition(":")[2])
        self.proxy = Proxy(
            "gateway-1",
            lambda: ("127.0.0.1", port),
            NatsTalk,
            self.board,
            lambda _, append: self.unanswered.append(append["ce_id"]),
        )

    async def has_seen(self) -> bool:
        return bool(self.seen)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.proxy.port}"


@pytest_asyncio.fixture
async def press(running: Running) -> AsyncGenerator[Press]:
    async with opened(running, running.nats_url, SET_UP) as connection:
        await reconcile(connection, Settings())  # pyright: ignore[reportCallIssue]
    press = Press(running)
    await press.proxy.listen()
    yield press
    await press.proxy.close()


async def append(connection: Connection, workflow_id: str, event_id: str) -> int:
    store = JetStreamStore(connection, "gateway")
    recorded = await store.append(History(WorkflowKey("local", workflow_id)), REQUESTED, id=event_id)
    return recorded.position


async def test_an_append_goes_through_and_is_seen_sent_and_stored(press: Press) -> None:
    async with opened(press.running, press.url, "gateway") as connection:
        position = await append(connection, "through", "e1")
    sent, stored = press.seen
    assert (sent.point, stored.point) == (Point.APPENDING, Point.STORED)
    assert (stored.about["ce_id"], stored.about["position"]) == ("e1", position)


async def test_a_line_cut_when_an_append_is_stored_leaves_its_fate_unknown(press: Press) -> None:
    def act(_: Moment, line: Cuttable) -> None:
        line.cut()

    trap = Trap("gateway", Point.STORED, act)
    springing = asyncio.create_task(press.board.spring(trap, within_s=30))
    await asyncio.sleep(0)
    async with opened(press.running, press.url, "gateway") as connection:
        with pytest.raises(OutcomeUnknown):
            await append(connection, "cut", "e2")
        moment = await springing
        assert moment
    async with opened(press.running, press.running.nats_url, "gateway") as connection:
        history = await JetStreamStore(connection, "gateway").read(WorkflowKey("local", "cut"), reach=1)
    assert history.recorded[0].position == moment.about["position"]


async def test_an_append_that_is_not_let_through_is_left_unanswered(press: Press) -> None:
    async with opened(press.running, press.url, "gateway") as connection:
        press.proxy.way.is_dumb = True
        appending = asyncio.create_task(append(connection, "dumb", "e3"))
        await until(press.has_seen, "the append was sent")
        press.proxy.cut()
        with pytest.raises(OutcomeUnknown):
            await appending
        press.proxy.heal()
    assert press.unanswered == ["e3"]


async def test_one_bit_of_what_is_told_is_changed_once(press: Press) -> None:
    async with opened(press.running, press.url, "gateway") as connection:
        (line,) = press.proxy.lines
        line.hears_wrong = len("MSG ")
        with pytest.raises(NoAnswer):
            await connection.ask("$JS.API.DIRECT.GET.WORKFLOW", b"{}", timeout_s=0.3)
    assert line.hears_wrong is None


def test_a_wrong_bit_is_one_bit_of_the_byte_or_of_the_last() -> None:
    assert with_wrong_bit(b"abc", 1) == b"acc"
    assert with_wrong_bit(b"abc", 700) == b"abb"


async def test_a_way_that_is_closed_is_open_again_when_it_is_healed(press: Press) -> None:
    press.proxy.way.is_closed = True
    opening = asyncio.create_task(
        Connection.open(press.url, user="gateway", password=press.running.passwords["gateway"], name="test")
    )
    await asyncio.wait({opening}, timeout=0.2)
    assert not opening.done()
    press.proxy.heal()
    connection = await opening
    assert connection.is_up
    await connection.close()


async def test_what_is_paused_arrives_when_it_goes_on(press: Press) -> None:
    async with opened(press.running, press.url, "gateway") as connection:
        press.proxy.pause()
        appending = asyncio.create_task(append(connection, "paused", "e4"))
        await asyncio.wait({appending}, timeout=0.2)
        assert not appending.done()
        press.proxy.resume()
        assert await appending > 0


async def test_a_deaf_process_hears_no_answer(press: Press) -> None:
    async with opened(press.running, press.url, "gateway") as connection:
        press.proxy.way.is_deaf = True
        with pytest.raises(NoAnswer):
            await connection.ask("$JS.API.DIRECT.GET.WORKFLOW", b"{}", timeout_s=0.3)


class TestArrivals:
    """What the process was told has arrived only once it has left for that process."""

    async def test_an_answer_arrives_when_it_is_let_through(self, press: Press) -> None:
        arrived: list[Moment] = []
        press.proxy.on_arrived = arrived.append
        async with opened(press.running, press.url, "gateway") as connection:
            await append(connection, "arrives", "e5")
        assert [moment.point for moment in arrived] == [Point.STORED]

    @pytest.mark.parametrize("cuts", [True, False])
    async def test_an_answer_that_is_lost_on_its_way_does_not(self, press: Press, cuts: bool) -> None:
        arrived: list[Moment] = []
        press.proxy.on_arrived = arrived.append

        def act(_: Moment, line: Cuttable) -> None:
            if cuts:
                line.cut()
            else:
                press.proxy.way.is_deaf = True

        trap = Trap("gateway", Point.STORED, act)
        springing = asyncio.create_task(press.board.spring(trap, within_s=30))
        await asyncio.sleep(0)
        async with opened(press.running, press.url, "gateway") as connection:
            appending = asyncio.create_task(append(connection, f"lost-{cuts}", f"e6-{cuts}"))
            assert await springing
            press.proxy.cut()
            with pytest.raises(OutcomeUnknown):
                await appending
        assert arrived == []
