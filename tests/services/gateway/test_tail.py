"""The live tail on a real log: every revision once, in order, from wherever one begins, whatever happens to NATS."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from contracts.envelope import Recorded
from contracts.events import Event
from contracts.subjects import WorkflowKey
from contracts.works import Work
from services.gateway import tail
from services.gateway.tail import Tails
from tests.services.gateway.nats_server import NatsServer, nats_server
from tests.services.gateway.newsroom import PATIENCE_S, Newsroom, asked, claimed, new_key, newsroom

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS = 40


async def revisions(tails: Tails, key: WorkflowKey, *, after: int = 0, last: int = EVENTS) -> list[int]:
    """The revisions that one follower is told, up to the last."""
    told: list[Recorded[Event]] = []
    async with asyncio.timeout(PATIENCE_S), tails.follow(key, after=after) as events:
        async for recorded in events:
            told.append(recorded)
            if recorded.revision >= last:
                break
    return [recorded.revision for recorded in told]


async def write(room: Newsroom, key: WorkflowKey, first: int, last: int) -> None:
    """Appends events until the history has so many, the first of them a request."""
    for revision in range(first, last + 1):
        await room.record(key, asked() if revision == 1 else claimed(Work.BLOG, revision))


class TestWhileTheHistoryGrows:
    @pytest.mark.parametrize("after", [0, 1, 7, EVENTS - 1])
    async def test_follower_is_told_all_from_any_revision(self, room: Newsroom, after: int) -> None:
        key = new_key()
        reading = asyncio.create_task(revisions(room.parts.tails, key, after=after))
        await write(room, key, 1, EVENTS)
        assert await reading == list(range(after + 1, EVENTS + 1))

    @pytest.mark.parametrize("begun", [1, 20, EVENTS])
    async def test_follower_who_comes_late_is_told_all(self, room: Newsroom, begun: int) -> None:
        key = new_key()
        await write(room, key, 1, begun)
        reading = asyncio.create_task(revisions(room.parts.tails, key))
        await write(room, key, begun + 1, EVENTS)
        assert await reading == list(range(1, EVENTS + 1))

    async def test_two_followers_of_one_workflow_are_told_all(self, room: Newsroom) -> None:
        key = new_key()
        first = asyncio.create_task(revisions(room.parts.tails, key))
        await write(room, key, 1, 20)
        second = asyncio.create_task(revisions(room.parts.tails, key, after=10))
        await write(room, key, 21, EVENTS)
        assert await first == list(range(1, EVENTS + 1))
        assert await second == list(range(11, EVENTS + 1))

    async def test_follower_who_leaves_takes_nothing_from_others(self, room: Newsroom) -> None:
        key = new_key()
        leaving = asyncio.create_task(revisions(room.parts.tails, key, last=5))
        staying = asyncio.create_task(revisions(room.parts.tails, key))
        await write(room, key, 1, EVENTS)
        assert await leaving == list(range(1, 6))
        assert await staying == list(range(1, EVENTS + 1))

    async def test_workflows_are_not_mixed_up(self, room: Newsroom) -> None:
        keys = [new_key() for _ in range(5)]
        reading = [asyncio.create_task(revisions(room.parts.tails, key, last=8)) for key in keys]
        await asyncio.gather(*(write(room, key, 1, 8) for key in keys))
        assert await asyncio.gather(*reading) == [list(range(1, 9))] * 5

    async def test_more_than_may_wait_is_found_in_the_history(
        self, room: Newsroom, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tail, "WAITING_MAX", 2)
        key, told = new_key(), list[int]()
        async with asyncio.timeout(PATIENCE_S), room.parts.tails.follow(key) as events:
            await write(room, key, 1, EVENTS)
            async for recorded in events:
                told.append(recorded.revision)
                if recorded.revision == 20:
                    await write(room, key, EVENTS + 1, EVENTS + 10)
                if recorded.revision == EVENTS + 10:
                    break
        assert told == list(range(1, EVENTS + 11))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def nats() -> AsyncGenerator[NatsServer]:
    async with nats_server() as nats:
        yield nats


class TestWhenNatsDies:
    @pytest.mark.parametrize("followers", [1, 3])
    async def test_restart_leaves_no_gap_and_no_repeat(self, nats: NatsServer, followers: int) -> None:
        async with newsroom(nats.plant) as room:
            key = new_key()
            reading = [asyncio.create_task(revisions(room.parts.tails, key)) for _ in range(followers)]
            await write(room, key, 1, 20)
            await nats.kill()
            await nats.start()
            await write_again(room, key, 21, EVENTS)
            assert await asyncio.gather(*reading) == [list(range(1, EVENTS + 1))] * followers

    async def test_follower_may_begin_while_nats_is_down(self, nats: NatsServer) -> None:
        async with newsroom(nats.plant) as room:
            key = new_key()
            await write(room, key, 1, 20)
            await nats.kill()
            reading = asyncio.create_task(revisions(room.parts.tails, key))
            await nats.start()
            await write_again(room, key, 21, EVENTS)
            assert await reading == list(range(1, EVENTS + 1))


async def write_again(room: Newsroom, key: WorkflowKey, first: int, last: int) -> None:
    """Goes on writing once the connections are back."""
    for service in ("gateway", "writer"):
        connection = await room.connection(service)
        async with asyncio.timeout(PATIENCE_S):
            back = asyncio.Event()
            connection.on_reconnect.append(back.set)
            if not connection.is_up:
                await back.wait()
    await write(room, key, first, last)
