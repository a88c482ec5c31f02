"""The live tail when live messages are lost, doubled or late and the history lags: in virtual time, on a log in memory.

Nobody but the server may publish what is live, so what the server rarely does is done here by a wire of our own.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg

from chassis.connection import Connection
from chassis.event_store import History, StoreUnavailable
from chassis.memory_store import MemoryLog, MemoryStore
from contracts.envelope import Recorded, encode
from contracts.events import Event
from contracts.subjects import EventSubject, WorkflowKey, delta, live
from contracts.works import Work
from services.gateway.tail import QUIET_S, WAITING_MAX, Tails
from tests.services.gateway.newsroom import asked, claimed, service_of
from tests.simulation.virtual_time import run_virtually

KEY = WorkflowKey("local", "w1")
A_DAY_S = 86_400.0
Heard = Callable[[Msg], Awaitable[None]]


class Wire:
    """Stands where the connection to NATS stands, and carries live messages as the test says."""

    def __init__(self) -> None:
        self.on_reconnect: list[Callable[[], None]] = []
        self.on_messages_dropped: list[Callable[[], None]] = []
        self.subscriptions: list[tuple[str, Heard]] = []

    async def subscribe(self, subject: str, heard: Heard) -> tuple[str, Heard]:
        self.subscriptions.append((subject, heard))
        return subject, heard

    async def unsubscribe(self, subscription: tuple[str, Heard]) -> None:
        self.subscriptions.remove(subscription)

    async def carry(self, message: Msg) -> None:
        for _, heard in tuple(self.subscriptions):
            await heard(message)


def message(recorded: Recorded[Event]) -> Msg:
    """The event as the server republishes it."""
    subject = EventSubject(recorded.key, recorded.service, recorded.event.type, recorded.revision)
    headers, body = encode(recorded.event, id=recorded.id, service=recorded.service, recorded_at=recorded.recorded_at)
    return Msg(cast(Client, None), f"live.{subject}", data=body, headers={**headers, "Nats-Sequence": "1"})


class Laggard(MemoryStore):
    """A store whose replicas lag, and that is away now and then."""

    def __init__(self, log: MemoryLog, chance: random.Random) -> None:
        super().__init__(log, "gateway")
        self._all, self._chance = log, chance

    async def read(self, key: WorkflowKey, *, reach: int = 0) -> History:
        await passing(self._chance.random() / 10)
        if self._chance.random() < 0.2:
            raise StoreUnavailable
        histories = self._all.histories(key)
        return histories[self._chance.randint(min(reach, len(histories) - 1), len(histories) - 1)]


class Behind(MemoryStore):
    """A store whose replicas know no more than they are asked to reach."""

    async def read(self, key: WorkflowKey, *, reach: int = 0) -> History:
        return self._log.histories(key)[reach]


@dataclass
class World:
    """One log, one wire, and the tails over them."""

    log: MemoryLog
    wire: Wire
    tails: Tails

    async def record(self) -> Msg:
        """Appends the next event. -> its live message, for the test to carry or to lose"""
        history = self.log.histories(KEY)[-1]
        event = claimed(Work.BLOG, history.revision) if history.revision else asked()
        return message(self.log.append(service_of(event), history, event, id=f"e{history.revision}"))

    async def revisions(self, *, after: int = 0, last: int) -> list[int]:
        """The revisions that one follower is told, up to the last."""
        told: list[int] = []
        async with asyncio.timeout(A_DAY_S), self.tails.follow(KEY, after=after) as events:
            async for recorded in events:
                told.append(recorded.revision)
                if recorded.revision >= last:
                    break
        return told


def world(chance: random.Random | None = None, kind: type[MemoryStore] = MemoryStore) -> World:
    log, wire = MemoryLog(), Wire()
    store = Laggard(log, chance) if chance else kind(log, "gateway")
    return World(log, wire, Tails(cast(Connection, wire), store))


async def passing(seconds: float) -> None:
    """Virtual time goes by."""
    passed = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, lambda: passed.done() or passed.set_result(None))
    await passed


FATES = {"once": [0.0], "twice": [0.0, 0.0], "again later": [0.0, 30.0], "late": [3.0], "lost": []}
fates = st.lists(st.tuples(st.sampled_from(sorted(FATES)), st.sampled_from([0.0, 0.01, 0.5, 15.0])), min_size=1)


class TestAnyFate:
    @given(fates, st.integers(0, 5), st.integers(0, 2**32))
    @examples(max_examples=300, deadline=None)
    def test_every_revision_is_told_once_in_order(self, story: list[tuple[str, float]], after: int, seed: int) -> None:
        run_virtually(self.live_through(story, min(after, len(story) - 1), random.Random(seed)))

    async def live_through(self, story: list[tuple[str, float]], after: int, chance: random.Random) -> None:
        """Two followers, the second one from `after` on and half way through the story."""
        there, last = world(chance), len(story)
        carrying: list[asyncio.Task[None]] = []
        reading = [asyncio.create_task(there.revisions(last=last))]
        for number, (fate, pause) in enumerate(story):
            if number == last // 2:
                reading.append(asyncio.create_task(there.revisions(after=after, last=last)))
            live_message = await there.record()
            for delay in FATES[fate]:
                carrying.append(asyncio.create_task(self.carry(there, live_message, delay)))
            await passing(pause)
        assert await asyncio.gather(*reading) == [[*range(1, last + 1)], [*range(after + 1, last + 1)]]
        await asyncio.gather(*carrying)
        assert there.wire.subscriptions == []

    async def carry(self, there: World, live_message: Msg, delay: float) -> None:
        await passing(delay)
        await there.wire.carry(live_message)


class TestLostMessages:
    def test_lost_first_events_are_found_soon(self) -> None:
        async def story() -> None:
            there, clock = world(), asyncio.get_running_loop().time
            reading = asyncio.create_task(there.revisions(last=1))
            await passing(0.1)
            await there.record()
            assert await reading == [1]
            assert clock() == pytest.approx(QUIET_S[0])

        run_virtually(story())

    @pytest.mark.parametrize("lags", [False, True])
    def test_hole_is_filled_at_once(self, lags: bool) -> None:
        async def story() -> None:
            there, clock = world(kind=Behind if lags else MemoryStore), asyncio.get_running_loop().time
            reading = asyncio.create_task(there.revisions(last=3))
            await passing(200)
            await there.record()
            await there.record()
            await there.wire.carry(await there.record())
            assert await reading == [1, 2, 3]
            assert clock() == 200

        run_virtually(story())

    @pytest.mark.parametrize("silence_s", [1, 20, 300, 3_600])
    def test_lost_last_event_is_found_within_two_minutes(self, silence_s: float) -> None:
        async def story() -> None:
            there, clock = world(), asyncio.get_running_loop().time
            reading = asyncio.create_task(there.revisions(last=2))
            await passing(0.1)
            await there.wire.carry(await there.record())
            await passing(silence_s)
            await there.record()
            lost_at = clock()
            assert await reading == [1, 2]
            assert clock() - lost_at <= max(QUIET_S)

        run_virtually(story())

    @pytest.mark.parametrize("sign", ["on_reconnect", "on_messages_dropped"])
    def test_reconnect_or_dropped_messages_are_followed_by_a_look(self, sign: str) -> None:
        async def story() -> None:
            there, clock = world(), asyncio.get_running_loop().time
            reading = asyncio.create_task(there.revisions(last=2))
            await passing(200)
            await there.record()
            await there.record()
            for tell in getattr(there.wire, sign):
                tell()
            begun = clock()
            assert await reading == [1, 2]
            assert clock() - begun <= 1

        run_virtually(story())

    def test_quiet_workflow_is_read_ever_more_seldom(self) -> None:
        async def story() -> None:
            there, reads = world(), list[float]()
            read = MemoryStore.read

            async def counted(store: MemoryStore, key: WorkflowKey, *, reach: int = 0) -> History:
                reads.append(asyncio.get_running_loop().time())
                return await read(store, key, reach=reach)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(MemoryStore, "read", counted)
                reading = asyncio.create_task(there.revisions(last=1))
                await passing(3_600)
                reading.cancel()
            assert reads[:5] == [0, 1, 11, 31, 71] and len(reads) < 40

        run_virtually(story())


class TestWhatIsHeard:
    def test_deltas_and_nonsense_are_passed_over(self) -> None:
        async def story() -> None:
            there = world()
            reading = asyncio.create_task(there.revisions(last=2))
            await passing(2)
            nonsense = live(KEY).replace(">", "nonsense")
            for subject in (delta(KEY, "writer"), nonsense, message_of_nobody()):
                await there.wire.carry(Msg(cast(Client, None), subject, data=b"?"))
            await there.wire.carry(await there.record())
            await there.wire.carry(await there.record())
            assert await reading == [1, 2]

        run_virtually(story())


class TestSubscriptions:
    def test_followers_of_one_workflow_share_one(self) -> None:
        async def story() -> None:
            there = world()
            async with there.tails.follow(KEY), there.tails.follow(KEY), there.tails.follow(KEY):
                assert [subject for subject, _ in there.wire.subscriptions] == [live(KEY)]

        run_virtually(story())

    def test_last_follower_ends_it(self) -> None:
        async def story() -> None:
            there = world()
            async with there.tails.follow(KEY):
                async with there.tails.follow(KEY):
                    pass
                assert len(there.wire.subscriptions) == 1
            assert there.wire.subscriptions == []

        run_virtually(story())

    def test_follower_who_is_cancelled_leaves_nothing(self) -> None:
        async def story() -> None:
            there = world()
            for wait_s in (0, 0.5, 100):
                reading = asyncio.create_task(there.revisions(last=1))
                await passing(wait_s)
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
                await passing(0)
                assert there.wire.subscriptions == []

        run_virtually(story())


class TestWhatWaits:
    def test_is_measured_for_whoever_is_furthest_behind(self) -> None:
        async def story() -> None:
            there = world()
            async with there.tails.follow(KEY), there.tails.follow(KEY) as events:
                await there.wire.carry(await there.record())
                assert there.tails.waiting().length == 1
                await anext(events)  # the history tells of it
                await there.wire.carry(await there.record())
                await anext(events)
                assert there.tails.waiting().length == 2
            assert there.tails.waiting().length == 0

        run_virtually(story())

    def test_never_exceeds_its_bound(self) -> None:
        async def story() -> None:
            there = world()
            async with there.tails.follow(KEY):
                event = await there.record()
                for _ in range(2 * WAITING_MAX):
                    await there.wire.carry(event)
                for tell in 3 * there.wire.on_reconnect:
                    tell()
                await passing(A_DAY_S)
                length, most = there.tails.waiting()
                assert length == most == WAITING_MAX + 1

        run_virtually(story())


def message_of_nobody() -> str:
    """The subject of an event with a body that is none."""
    return f"live.{EventSubject(KEY, 'writer', 'blog-written', 1)}"
