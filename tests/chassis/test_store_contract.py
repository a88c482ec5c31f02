"""The contract of event_store.py: what holds of JetStream's store and of the one in memory alike.

A read may come from a copy of the log that lags, unless it says what it has to reach; and a writer that was second may
be told so (Conflict) or have to look for itself (OutcomeUnknown), where a cluster is still storing what was first.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from chassis.event_store import Conflict, EventStore, OutcomeUnknown, utc_now
from chassis.memory_store import MemoryLog, MemoryStore
from contracts.events import WorkflowCancelled
from contracts.services import GATEWAY, ILLUSTRATOR, RESEARCH, WRITER
from contracts.subjects import WorkflowKey
from tests.chassis.plant import append_by_id, claimed, written

OpenStore = Callable[[str], Awaitable[EventStore]]

ROUNDS = 50
WRITERS, EVENTS_EACH = 20, 3


@pytest.fixture(params=["memory", "jetstream"])
def open_store(request: pytest.FixtureRequest) -> OpenStore:
    """Opens the same log for a service, as often as one likes."""
    if request.param == "jetstream":
        return request.getfixturevalue("plant").store
    log = MemoryLog()

    async def open_in_memory(service: str) -> EventStore:
        return MemoryStore(log, service)

    return open_in_memory


@pytest.fixture
async def store(open_store: OpenStore) -> EventStore:
    return await open_store(WRITER)


async def append(store: EventStore, key: WorkflowKey, count: int) -> None:
    history = await store.read(key)
    for number in range(1, count + 1):
        history = history.then(await store.append(history, claimed(number), id=f"event-{number}"))


async def test_unknown_workflow_has_an_empty_history(store: EventStore, key: WorkflowKey) -> None:
    history = await store.read(key)
    assert (history.key, history.recorded, history.revision, history.position) == (key, (), 0, 0)


async def test_what_is_read_is_what_append_returned(store: EventStore, key: WorkflowKey) -> None:
    first = await store.append(await store.read(key), claimed(), id="one", cause="before")
    second = await store.append(await store.read(key, reach=1), written("Tea."), id="two")
    assert (await store.read(key, reach=2)).recorded == (first, second)


async def test_revisions_count_up_and_positions_rise(store: EventStore, key: WorkflowKey) -> None:
    await append(store, key, 12)  # two digits: the order is one of numbers, not of texts
    history = await store.read(key, reach=12)
    positions = [recorded.position for recorded in history.recorded]
    assert [recorded.revision for recorded in history.recorded] == list(range(1, 13))
    assert positions == sorted(set(positions)) and history.position == positions[-1]


async def test_id_cause_service_and_time_survive(store: EventStore, key: WorkflowKey) -> None:
    await store.append(await store.read(key), claimed(), id="own", cause="other")
    (recorded,) = (await store.read(key, reach=1)).recorded
    assert (recorded.key, recorded.service, recorded.id, recorded.cause) == (key, WRITER, "own", "other")
    assert abs(recorded.recorded_at - utc_now()) < timedelta(minutes=1)


async def test_stale_history_is_a_conflict(store: EventStore, key: WorkflowKey) -> None:
    stale = await store.read(key)
    await store.append(stale, claimed(), id="first")
    with pytest.raises(Conflict):
        await store.append(stale, claimed(), id="second")
    assert [recorded.id for recorded in (await store.read(key, reach=1)).recorded] == ["first"]


async def test_history_behind_the_last_event_is_stale_too(store: EventStore, key: WorkflowKey) -> None:
    await append(store, key, 1)
    stale = await store.read(key, reach=1)
    await store.append(stale, claimed(2), id="first")
    with pytest.raises(Conflict):
        await store.append(stale, written("Tea."), id="second")  # another subject, the same fence


async def test_history_can_be_carried_on_without_reading(store: EventStore, key: WorkflowKey) -> None:
    history = await store.read(key)
    for number in range(1, 4):
        history = history.then(await store.append(history, claimed(number), id=str(number)))
    read = await store.read(key, reach=3)
    assert history == read and history.state == read.state


async def test_event_is_found_by_its_id(store: EventStore, key: WorkflowKey) -> None:
    await append(store, key, 3)
    history = await store.read(key, reach=3)
    found = history.find("event-2")
    assert found and found.revision == 2 and history.find("event-4") is None


async def test_neighbours_events_are_invisible_and_unfenced(store: EventStore, key: WorkflowKey) -> None:
    neighbour = WorkflowKey(key.owner, f"{key.workflow_id}-b")
    stranger = WorkflowKey("stranger", key.workflow_id)
    mine = await store.read(key)
    for other in (neighbour, stranger):
        await append(store, other, 2)
    await store.append(mine, claimed(), id="mine")
    assert [recorded.id for recorded in (await store.read(key, reach=1)).recorded] == ["mine"]


async def test_large_text_comes_back_whole(store: EventStore, key: WorkflowKey) -> None:
    event = written('Grüner Tee 🍵 "quoted"\n' * 30_000)
    await store.append(await store.read(key), event, id="large")
    assert (await store.read(key, reach=1)).recorded[0].event == event


async def test_read_reaches_what_is_known_to_stand_there(store: EventStore, key: WorkflowKey) -> None:
    await append(store, key, 2)
    assert (await store.read(key, reach=2)).revision == 2


async def test_of_two_racing_services_exactly_one_wins(open_store: OpenStore, key: WorkflowKey) -> None:
    writer, gateway = await open_store(WRITER), await open_store(GATEWAY)
    for number in range(1, ROUNDS + 1):
        history = await writer.read(key, reach=number - 1)
        ends = await asyncio.gather(
            writer.append(history, claimed(number), id=f"writer-{number}"),
            gateway.append(history, WorkflowCancelled(run=number), id=f"gateway-{number}"),
            return_exceptions=True,
        )
        (loser,) = [end for end in ends if isinstance(end, BaseException)]
        assert isinstance(loser, (Conflict, OutcomeUnknown))
        assert (await writer.read(key, reach=number)).revision == number


async def test_many_racing_writers_leave_no_gap(open_store: OpenStore, key: WorkflowKey) -> None:
    stores = [await open_store((RESEARCH, WRITER, ILLUSTRATOR)[number % 3]) for number in range(WRITERS)]
    ids = [[f"{writer}-{number}" for number in range(EVENTS_EACH)] for writer in range(WRITERS)]

    async def write(store: EventStore, own: list[str]) -> None:
        for event_id in own:
            await append_by_id(store, key, claimed(worker=event_id), id=event_id)

    await asyncio.gather(*map(write, stores, ids))
    history = await stores[0].read(key, reach=WRITERS * EVENTS_EACH)  # a gap or a repeat would raise HistoryDamaged
    assert sorted(recorded.id for recorded in history.recorded) == sorted(itertools.chain(*ids))
    for own in ids:
        order = [recorded.id for recorded in history.recorded if recorded.id in own]
        assert order == own
