"""The store on JetStream when something is wrong: a killed server, missing rights, a full log, damaged histories."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import pytest

from chassis import jetstream_store
from chassis.connection import Connection
from chassis.event_store import (
    EVENT_BYTES_MAX,
    Conflict,
    EventTooLarge,
    History,
    HistoryDamaged,
    LogFull,
    NotAllowed,
    OutcomeUnknown,
    StoreUnavailable,
)
from chassis.jetstream_store import STREAM, JetStreamStore
from chassis.topology import stream
from contracts.envelope import FromTheFuture, Malformed, encode
from contracts.services import GATEWAY, RESEARCH, WRITER
from contracts.subjects import EventSubject, WorkflowKey
from contracts.subjects import history as history_subject
from tests.chassis.plant import PATIENCE_S, Plant, append_by_id, claimed, written
from tests.waiting import until

AT_ONCE_S = 2.0
"""Far below the time-outs of the store: what ends within it was told, not waited for."""


async def record(store: JetStreamStore, key: WorkflowKey, *ids: str) -> History:
    """Appends these to a new workflow. -> what stands then, whichever copy of the log lags"""
    return await record_behind(await store.read(key), store, *ids)


async def record_behind(history: History, store: JetStreamStore, *ids: str) -> History:
    for event_id in ids:
        history = history.then(await store.append(history, claimed(), id=event_id))
    return history


async def ids(store: JetStreamStore, key: WorkflowKey, *, reach: int) -> list[str]:
    return [recorded.id for recorded in (await store.read(key, reach=reach)).recorded]


class TestWhenTheServerDies:
    async def test_history_survives_a_kill(self, own_plant: Plant, key: WorkflowKey) -> None:
        connection = await own_plant.connect(WRITER)
        store = JetStreamStore(connection, WRITER)
        before = await record(store, key, "one", "two", "three")
        await own_plant.kill(connection)
        assert await store.read(key, reach=3) == before
        await store.append(before, claimed(), id="four")

    async def test_append_in_flight_ends_with_the_connection(self, lone_plant: Plant, key: WorkflowKey) -> None:
        connection = await lone_plant.connect(WRITER)
        store = JetStreamStore(connection, WRITER)
        history = await record(store, key, "one")
        lone_plant.signal(signal.SIGSTOP)  # from here on nothing is answered
        appending = asyncio.create_task(store.append(history, claimed(), id="two"))
        await lone_plant.kill(connection)
        assert appending.done()  # long before its own time-out
        with pytest.raises(OutcomeUnknown):
            await appending
        await append_by_id(store, key, claimed(), id="two")
        assert await ids(store, key, reach=2) == ["one", "two"]

    async def test_without_a_connection_nothing_is_tried(self, lone_plant: Plant, key: WorkflowKey) -> None:
        store = await lone_plant.store(WRITER)
        history = await store.read(key)
        lone_plant.signal(signal.SIGKILL)
        with pytest.raises(StoreUnavailable):
            while True:
                await store.read(key)
        async with asyncio.timeout(AT_ONCE_S):
            with pytest.raises(StoreUnavailable, match="not connected"):
                await store.append(history, claimed(), id="one")

    async def test_lost_answer_doubles_nothing_when_retried_by_id(
        self, plant: Plant, key: WorkflowKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = await plant.store(WRITER)
        history = await store.read(key)
        with monkeypatch.context() as impatient, pytest.raises(OutcomeUnknown):
            impatient.setattr(jetstream_store, "APPEND_TIMEOUT_S", 0)  # sent, and not waited for
            await store.append(history, claimed(), id="one")
        await append_by_id(store, key, claimed(), id="one")
        assert await ids(store, key, reach=1) == ["one"]

    async def test_kills_under_load_neither_lose_nor_double(self, own_plant: Plant, key: WorkflowKey) -> None:
        connection = await own_plant.connect(WRITER)
        store = JetStreamStore(connection, WRITER)
        wanted = [f"event-{number}" for number in range(200)]
        half = asyncio.Event()

        async def write() -> None:
            for event_id in wanted:
                await persist(store, key, event_id)
                if event_id == wanted[50]:
                    half.set()

        writing = asyncio.create_task(write())
        await half.wait()
        await own_plant.kill(connection)
        await writing
        assert await ids(store, key, reach=len(wanted)) == wanted


async def persist(store: JetStreamStore, key: WorkflowKey, event_id: str) -> None:
    """Appends by id, and waits for the log where it is away."""

    async def is_done() -> bool:
        try:
            await append_by_id(store, key, claimed(), id=event_id)
        except StoreUnavailable:
            return False
        return True

    await until(is_done, f"{event_id} is stored")


class TestWhenTheLeaderDies:
    """Of three servers. Publishing stalls for up to 8 s."""

    async def test_append_waits_for_the_next_leader(self, cluster_plant: Plant, key: WorkflowKey) -> None:
        store = await cluster_plant.store(WRITER)
        history = await record(store, key, "one")
        await cluster_plant.kill_leader()
        recorded = await store.append(history, claimed(), id="two")
        assert (recorded.revision, await ids(store, key, reach=2)) == (2, ["one", "two"])

    async def test_event_that_was_stored_before_it_is_found_and_not_doubled(
        self, cluster_plant: Plant, key: WorkflowKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(jetstream_store, "APPEND_TRY_S", 0)  # sent, not waited for, and sent again
        monkeypatch.setattr(jetstream_store, "APPEND_TIMEOUT_S", 0.5)
        store = await cluster_plant.store(WRITER)
        with pytest.raises((Conflict, OutcomeUnknown)):
            await store.append(await store.read(key), claimed(), id="one")
        monkeypatch.undo()
        await append_by_id(store, key, claimed(), id="one")
        assert (await store.read(key, reach=1)).revision == 1


class TestWhatTheLogRefuses:
    async def test_refused_permission_is_told_at_once(self, plant: Plant, key: WorkflowKey) -> None:
        foreign = JetStreamStore(await plant.connect(GATEWAY), WRITER)
        history = await foreign.read(key)
        async with asyncio.timeout(AT_ONCE_S):
            with pytest.raises(NotAllowed, match="gateway may not use workflow"):
                await foreign.append(history, claimed(), id="one")
        assert await ids(foreign, key, reach=0) == []

    async def test_full_log_says_so_until_there_is_room(self, own_plant: Plant, key: WorkflowKey) -> None:
        await own_plant.api(f"STREAM.UPDATE.{STREAM}", stream(bytes_max=100_000, replicas=own_plant.nodes))
        store = await own_plant.store(WRITER)
        history = await store.read(key)
        history = history.then(await store.append(history, written("x" * 80_000), id="one"))
        with pytest.raises(LogFull, match="full"):
            await store.append(history, written("x" * 80_000), id="two")
        assert await ids(store, key, reach=1) == ["one"]
        await own_plant.api(f"STREAM.UPDATE.{STREAM}", stream(bytes_max=1_000_000, replicas=own_plant.nodes))
        await store.append(history, written("x" * 80_000), id="two")

    async def test_event_too_large_is_named_and_harmless(self, plant: Plant, key: WorkflowKey) -> None:
        store = await plant.store(WRITER)
        with pytest.raises(EventTooLarge, match="blog-written"):
            await store.append(await store.read(key), written("x" * EVENT_BYTES_MAX), id="one")
        largest = EVENT_BYTES_MAX - len(written("").model_dump_json())
        await store.append(await store.read(key), written("x" * largest), id="x" * 64, cause="y" * 64)

    async def test_subject_written_around_the_fence_is_a_conflict(self, plant: Plant, key: WorkflowKey) -> None:
        connection = await plant.connect(WRITER)
        store = JetStreamStore(connection, WRITER)
        history = await record(store, key, "one")
        unfenced = EventSubject(key, WRITER, "work-claimed", 2)
        headers, body = encode(claimed(), id="two", service=WRITER, recorded_at=history.recorded[0].recorded_at)
        for _ in range(2):
            await connection.ask(str(unfenced), body, headers=headers, timeout_s=5)
        with pytest.raises(Conflict):
            await store.append(history, claimed(), id="three")
        assert await ids(store, key, reach=2) == ["one", "two"]


Put = Callable[[str, bytes], Awaitable[None]]


class TestWhatCannotBeRead:
    @pytest.fixture
    async def connection(self, plant: Plant) -> Connection:
        return await plant.connect(RESEARCH)

    @pytest.fixture
    async def store(self, connection: Connection) -> JetStreamStore:
        return JetStreamStore(connection, RESEARCH)

    @pytest.fixture
    def put(self, connection: Connection, key: WorkflowKey) -> Put:
        """Writes anything at all, as an event of this type, behind an event that is in order."""

        async def put(event: str, body: bytes) -> None:
            headers, _ = encode(claimed(), id="odd", service=RESEARCH, recorded_at=jetstream_store.utc_now())
            await connection.ask(str(EventSubject(key, RESEARCH, event, 1)), body, headers=headers, timeout_s=5)

        return put

    @pytest.mark.parametrize("body", [b"\x00garbage", b"[]", b'{"version": 1}', b'{"version": 1, "surprise": 1}'])
    async def test_body_that_is_no_event_is_malformed(
        self, store: JetStreamStore, key: WorkflowKey, put: Put, body: bytes
    ) -> None:
        await put("work-claimed", body)
        with pytest.raises(Malformed, match="work-claimed"):
            await store.read(key, reach=1)

    @pytest.mark.parametrize(("event", "body"), [("work-claimed", b'{"version": 99}'), ("work-praised", b"{}")])
    async def test_newer_version_or_type_is_from_the_future(
        self, store: JetStreamStore, key: WorkflowKey, put: Put, event: str, body: bytes
    ) -> None:
        await put(event, body)
        with pytest.raises(FromTheFuture, match=event):
            await store.read(key, reach=1)

    async def test_message_without_headers_is_malformed(
        self, connection: Connection, store: JetStreamStore, key: WorkflowKey
    ) -> None:
        await connection.ask(str(EventSubject(key, RESEARCH, "work-claimed", 1)), b"{}", timeout_s=5)
        with pytest.raises(Malformed):
            await store.read(key, reach=1)

    async def test_lost_event_in_the_middle_is_noticed(
        self, plant: Plant, store: JetStreamStore, key: WorkflowKey
    ) -> None:
        middle = (await record(store, key, "one", "two", "three")).recorded[1].position
        assert (await plant.api(f"STREAM.MSG.DELETE.{STREAM}", {"seq": middle}))["success"]
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(HistoryDamaged, match=key.workflow_id):
                while True:  # a copy of the log may still hold it
                    await store.read(key)


class TestWhenAReplicaLags:
    async def test_history_that_ends_too_early_is_unavailable(
        self, plant: Plant, key: WorkflowKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(jetstream_store, "LAG_PAUSES_S", (0.01,) * 5)
        store = await plant.store(WRITER)
        await record(store, key, "one")
        with pytest.raises(StoreUnavailable, match="lacks revision 2"):
            await store.read(key, reach=2)

    async def test_history_is_read_again_until_it_reaches(
        self, plant: Plant, key: WorkflowKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(jetstream_store, "LAG_PAUSES_S", (0.01,) * 1_000)
        store, other = await plant.store(WRITER), await plant.store(WRITER)
        history = await record(store, key, "one")
        reading = asyncio.create_task(other.read(key, reach=2))
        await record_behind(history, store, "two")
        async with asyncio.timeout(PATIENCE_S):
            assert (await reading).revision == 2


async def test_purged_workflow_starts_anew(plant: Plant, key: WorkflowKey) -> None:
    store = await plant.store(WRITER)
    await record(store, key, "one", "two")
    await plant.api(f"STREAM.PURGE.{STREAM}", {"filter": history_subject(key)})

    async def is_empty() -> bool:
        return (await store.read(key)).recorded == ()

    await until(is_empty, "the history is purged")
    assert (await append_by_id(store, key, claimed(), id="three")).revision == 1
