"""The puller on a real server: what arrives, what comes again, how much is held, and what it lives through."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from structlog.typing import EventDict

from chassis import consumer
from chassis.connection import Connection
from chassis.consumer import Consumer, PulledDelivery
from chassis.jetstream_store import STREAM, JetStreamStore
from chassis.keeper import Keeper
from contracts.events import ResearchCompleted
from contracts.services import RESEARCH, WRITER
from contracts.subjects import EventSubject, WorkflowKey
from tests.chassis.plant import ACK_WAIT_S, PATIENCE_S, Plant, claimed
from tests.raw_nats import send_raw
from tests.waiting import until

FOUND = ResearchCompleted(run=1, attempt=1, notes="Tea.", sources=())


HOSTILE = [
    (b"w\xff", b""),
    (b"w\xfe", b"NATS/1.0 \xff\r\n\r\n"),
    (b"$", b"NATS/1.0\r\nName: \xff\r\n\r\n"),
    (b"refusal", b"NATS/1.0 409 Consumer Deleted\r\n\r\n"),
    (b"heartbeat", b"NATS/1.0\r\nStatus: 100\r\n\r\n"),
]
"""Names of workflows, and headers: no UTF-8, no name, and what the server itself might say."""


class Desk:
    """The writer's consumer at work. A delivery lies here, and its slot is busy, until the test frees it."""

    def __init__(self, plant: Plant, connection: Connection, *, slots: int, ack_wait_s: float | None) -> None:
        self.plant, self.connection = plant, connection
        keeper = None if ack_wait_s is None else Keeper(connection, WRITER, ack_wait_s=ack_wait_s)
        self.consumer = Consumer(connection, WRITER, self._handle, slots=slots, keeper=keeper)
        self.running = asyncio.create_task(self.consumer.run())
        self.held = 0
        self.fails = False
        self._arrived: asyncio.Queue[PulledDelivery] = asyncio.Queue()
        self._free = asyncio.Semaphore(0)

    async def _handle(self, delivery: PulledDelivery) -> None:
        self._arrived.put_nowait(delivery)
        if self.fails:
            raise ValueError("out of ink")
        self.held += 1
        await self._free.acquire()
        self.held -= 1

    async def next(self) -> PulledDelivery:
        """The next delivery, as soon as it arrives."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._arrived.get()

    def free(self, slots: int = 1) -> None:
        """Ends the handling of so many deliveries, settled or not."""
        for _ in range(slots):
            self._free.release()

    async def state(self) -> dict[str, Any]:
        """What the server knows of the consumer."""
        return await self.plant.api(f"CONSUMER.INFO.{STREAM}.{WRITER}")

    async def until(self, holds: Callable[[dict[str, Any]], bool], what: str) -> None:
        async def look() -> bool:
            return holds(await self.state())

        await until(look, what, within_s=PATIENCE_S)


Open = Callable[..., Any]


@pytest.fixture
async def open_desk(own_plant: Plant) -> AsyncGenerator[Open]:
    """Opens a desk with so many slots, for the user whose consumer it is or for another. With an ack_wait the consumer
    is looked after."""
    async with AsyncExitStack() as stack:

        async def open_desk(slots: int, user: str = WRITER, ack_wait_s: float | None = None) -> Desk:
            desk = Desk(own_plant, await own_plant.connect(user), slots=slots, ack_wait_s=ack_wait_s)
            stack.push_async_callback(lambda: asyncio.gather(desk.running, return_exceptions=True))
            stack.callback(desk.running.cancel)
            return desk

        yield open_desk


@pytest.fixture
async def desk(open_desk: Open) -> Desk:
    return await open_desk(2)


@pytest.fixture
async def research(own_plant: Plant) -> JetStreamStore:
    return await own_plant.store(RESEARCH)


async def bring(research: JetStreamStore, *names: str) -> None:
    """Appends to each of these workflows an event that wakes the writer."""
    for name in names:
        key = WorkflowKey("local", name)
        await research.append(await research.read(key), FOUND, id=f"id-of-{name}")


def name(delivery: PulledDelivery) -> str:
    return delivery.key.workflow_id


async def test_delivery_tells_which_event_woke_it(desk: Desk, research: JetStreamStore, key: WorkflowKey) -> None:
    await research.append(await research.read(key), claimed(), id="wakes-nobody")
    await research.append(await research.read(key), FOUND, id="wakes-the-writer")
    delivery = await desk.next()
    assert (delivery.key, delivery.revision) == (key, 2)
    assert (delivery.event, delivery.event_id) == ("research-completed", "wakes-the-writer")


async def test_acked_delivery_is_done(desk: Desk, research: JetStreamStore) -> None:
    await bring(research, "a")
    await (await desk.next()).ack()
    await desk.until(lambda state: state["ack_floor"]["stream_seq"] == 1, "the ack arrived")


async def test_unsettled_delivery_comes_again_after_ack_wait(desk: Desk, research: JetStreamStore) -> None:
    await bring(research, "a")
    began, _ = time.monotonic(), await desk.next()
    assert name(await desk.next()) == "a"
    assert time.monotonic() - began > ACK_WAIT_S * 0.8


async def test_signs_of_life_keep_a_delivery(open_desk: Open, research: JetStreamStore) -> None:
    desk = await open_desk(4)
    await bring(research, "kept")
    kept = await desk.next()
    await bring(research, "ticking")
    began = time.monotonic()
    while time.monotonic() - began < 2 * ACK_WAIT_S:
        ticking = await desk.next()
        assert name(ticking) == "ticking"  # and never again the one that is kept
        await kept.in_progress()
        await ticking.nak(timedelta(seconds=ACK_WAIT_S / 4))
        desk.free()


async def test_nak_brings_it_again_after_its_delay(desk: Desk, research: JetStreamStore) -> None:
    await bring(research, "a")
    delivery = await desk.next()
    began = time.monotonic()
    await delivery.nak(timedelta(seconds=0.4))
    assert name(await desk.next()) == "a"
    assert 0.3 < time.monotonic() - began < ACK_WAIT_S


async def test_busy_process_holds_no_more_than_its_slots(desk: Desk, research: JetStreamStore) -> None:
    await bring(research, *"abcdef")
    for _ in range(2):
        await desk.next()
    state = await desk.state()
    assert (state["num_ack_pending"], state["num_pending"], desk.held) == (2, 4, 2)


async def test_freed_slot_takes_the_next_at_once(desk: Desk, research: JetStreamStore) -> None:
    await bring(research, *"abcd")
    for _ in "abcd":
        await (await desk.next()).ack()
        desk.free()
    await desk.until(lambda state: state["num_pending"] == state["num_ack_pending"] == 0, "all is done")


async def test_two_processes_share_one_consumer(open_desk: Open, research: JetStreamStore) -> None:
    one, other = await open_desk(1), await open_desk(1)
    await bring(research, "a", "b")
    assert {name(await one.next()), name(await other.next())} == {"a", "b"}


async def test_pulls_go_on_after_a_killed_server(desk: Desk, research: JetStreamStore) -> None:
    await bring(research, "before")
    await (await desk.next()).ack()
    desk.free()
    reconnected = asyncio.Event()
    research._connection.on_reconnect.append(reconnected.set)  # pyright: ignore[reportPrivateUsage]
    await desk.plant.kill(desk.connection)
    await asyncio.wait_for(reconnected.wait(), PATIENCE_S)
    began = time.monotonic()
    await bring(research, "after")
    while name(delivery := await desk.next()) != "after":  # the ack of the other one may have been lost
        desk.free()
    await delivery.ack()
    assert time.monotonic() - began < 5


async def test_each_slot_keeps_one_pull_over_reconnects(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    pulls, publish = list[str](), desk.connection.publish

    async def count(subject: str, payload: bytes = b"", **more: Any) -> None:
        await publish(subject, payload, **more)
        if ".CONSUMER.MSG.NEXT." in subject:
            pulls.append(subject)

    async def both_asked_again() -> bool:
        return len(pulls) >= 2

    await desk.until(lambda state: state["num_waiting"] == 2, "both slots wait")
    monkeypatch.setattr(desk.connection, "publish", count)
    for _ in range(5):
        pulls.clear()
        await desk.connection._client.force_reconnect()  # pyright: ignore[reportPrivateUsage]
        await until(both_asked_again, "both slots asked again", within_s=PATIENCE_S)
        await desk.connection.flush()
        await desk.until(lambda state: state["num_waiting"] == 2, "there is one pull for each slot")


async def test_pull_without_any_answer_shows(open_desk: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "SILENCE_S", 0.2)
    desk = await open_desk(1, user=RESEARCH)  # which has no right to pull here, and is told so out of band

    async def trouble() -> str | None:
        return desk.consumer.trouble

    told = await until(trouble, "the health shows it", within_s=PATIENCE_S)
    assert told == "the consumer writer is refused: the server does not answer"


async def test_deleted_consumer_shows_and_is_survived(desk: Desk, research: JetStreamStore) -> None:
    await desk.plant.api(f"CONSUMER.DELETE.{STREAM}.{WRITER}")

    async def trouble() -> str | None:
        return desk.consumer.trouble

    told = await until(trouble, "the health shows it", within_s=PATIENCE_S)
    assert WRITER in told and "refused" in told
    await desk.plant.set_up()
    await bring(research, "a")
    assert name(await desk.next()) == "a" and desk.consumer.trouble is None


class TestConsumerThatAnOperatorDeletes:
    @pytest.fixture
    async def kept(self, open_desk: Open) -> Desk:
        """A desk whose consumer is looked after."""
        return await open_desk(2, ack_wait_s=ACK_WAIT_S)

    async def test_it_is_made_again_as_it_was(self, kept: Desk, research: JetStreamStore) -> None:
        await bring(research, "before")
        await (await kept.next()).ack()
        kept.free()
        config = (await kept.state())["config"]
        await kept.plant.api(f"CONSUMER.DELETE.{STREAM}.{WRITER}")
        assert name(await kept.next()) == "before"  # every event comes once more
        kept.free()
        await bring(research, "after")
        assert name(await kept.next()) == "after"
        assert (await kept.state())["config"] == config and kept.consumer.trouble is None

    async def test_it_is_said_once(self, kept: Desk, research: JetStreamStore, lines: list[EventDict]) -> None:
        await kept.plant.api(f"CONSUMER.DELETE.{STREAM}.{WRITER}")
        await bring(research, "after")
        await kept.next()
        assert [line["event"] for line in lines].count("consumer made again") == 1

    async def test_one_that_set_up_declares_otherwise_is_never_changed(self, own_plant: Plant) -> None:
        keeper = Keeper(await own_plant.connect(WRITER), WRITER, ack_wait_s=7)
        await own_plant.api(f"CONSUMER.DELETE.{STREAM}.{WRITER}")
        await own_plant.set_up()
        before = (await own_plant.api(f"CONSUMER.INFO.{STREAM}.{WRITER}"))["config"]
        await keeper._make()  # pyright: ignore[reportPrivateUsage]  (as when set-up is faster than this)
        assert (await own_plant.api(f"CONSUMER.INFO.{STREAM}.{WRITER}"))["config"] == before

    async def test_without_a_log_none_is_made(self, own_plant: Plant) -> None:
        keeper = Keeper(await own_plant.connect(WRITER), WRITER, ack_wait_s=ACK_WAIT_S)
        await own_plant.api(f"STREAM.DELETE.{STREAM}")
        await keeper.look()
        assert "error" in await own_plant.api(f"CONSUMER.INFO.{STREAM}.{WRITER}")


async def test_drain_finishes_what_is_held_and_takes_nothing(desk: Desk, research: JetStreamStore) -> None:
    await bring(research, "held")
    held = await desk.next()
    desk.consumer.drain()
    await bring(research, "new")
    assert not desk.running.done()
    await held.ack()
    desk.free()
    await asyncio.wait_for(desk.running, PATIENCE_S)
    await desk.until(lambda state: state["num_ack_pending"] == 0 and state["num_pending"] == 1, "one waits")


async def test_idle_process_drains_at_once(desk: Desk) -> None:
    await desk.until(lambda state: state["num_waiting"] == 2, "both slots wait")
    desk.consumer.drain()
    await asyncio.wait_for(desk.running, 2)


async def test_failing_handler_leaves_it_unsettled_and_goes_on(open_desk: Open, research: JetStreamStore) -> None:
    desk = await open_desk(1)
    desk.fails = True
    await bring(research, "a", "b")
    assert [name(await desk.next()) for _ in "ab"] == ["a", "b"]
    assert (await desk.state())["num_ack_pending"] == 2


async def test_message_that_is_no_event_is_passed_over(
    desk: Desk, own_plant: Plant, research: JetStreamStore, key: WorkflowKey
) -> None:
    connection = await own_plant.connect(RESEARCH)
    odd = str(EventSubject(key, RESEARCH, "research-completed", 1)) + "-and-a-half"
    await connection.ask(odd, b"?", timeout_s=5)
    await bring(research, "a")
    assert name(await desk.next()) == "a"
    await desk.until(lambda state: state["num_ack_pending"] == 1, "the odd one is settled")


async def test_hostile_events_hold_up_no_other(open_desk: Open, research: JetStreamStore) -> None:
    desk: Desk = await open_desk(8)
    subject = str(EventSubject(WorkflowKey("local", "NAME"), RESEARCH, FOUND.type, 1)).encode()
    for name, headers in HOSTILE:
        await send_raw(
            desk.plant.first_url,
            user=RESEARCH,
            password=desk.plant.running.passwords[RESEARCH],
            subject=subject.replace(b"NAME", name),
            headers=headers,
        )
    await bring(research, "a", "b")
    arrived = {(await desk.next()).key.workflow_id for _ in range(4)}
    assert arrived == {"refusal", "heartbeat", "a", "b"} and desk.consumer.trouble is None
    await desk.until(lambda state: state["num_ack_pending"] == 4, "what is no event is done with")
