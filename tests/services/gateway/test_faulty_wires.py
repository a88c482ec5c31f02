"""A gateway behind bad wires: whatever stands still, is slow or breaks, clients hear it in time, and all goes on."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio
from structlog.typing import EventDict

from chassis import connection, jetstream_store, object_store
from chassis.jetstream_store import JetStreamStore
from chassis.object_store import S3Store, picture_key, picture_pointer
from chassis.telemetry import Seldom
from contracts.events import Event
from contracts.services import GATEWAY
from contracts.subjects import WorkflowKey
from contracts.works import Work
from local.servers import Running
from services.gateway import desk, library
from services.gateway.desk import OWNER
from tests.faulty_wire import Wire, wire
from tests.services.gateway.newsroom import (
    CANCELLED,
    COMPLETED,
    Client,
    Newsroom,
    Plant,
    claimed,
    new_key,
    newsroom,
    s3_settings,
    service_of,
)
from tests.services.gateway.read_tables import read_tables
from tests.services.gateway.records import blog_written
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

IN_TIME_S = 5.0
"""Of whatever answer, with the short patience that these tests give the gateway."""

PICTURE = b"\x89PNG\r\n\x1a\n sample"
SHA256 = hashlib.sha256(PICTURE).hexdigest()


@dataclass(frozen=True)
class Wired:
    """A gateway, the wires to its servers, and the log as the stages reach it: over a good one."""

    room: Newsroom
    nats: Wire
    postgres: Wire
    s3: Wire
    plant: Plant

    async def record(self, key: WorkflowKey, *events: Event) -> None:
        async with AsyncExitStack() as stack:
            for event in events:
                stage = await self.plant.connection(service_of(event))
                stack.push_async_callback(stage.close)
                store = JetStreamStore(stage, service_of(event))
                await store.append(await store.read(key), event, id=f"{new_key().workflow_id}")

    async def history(self, key: WorkflowKey) -> list[Event]:
        reader = await self.plant.connection(GATEWAY)
        try:
            return [recorded.event for recorded in (await JetStreamStore(reader, GATEWAY).read(key)).recorded]
        finally:
            await reader.close()

    async def until_ready(self, status: int = 200) -> None:
        async def look() -> bool:
            return (await self.room.http.get("/health/ready")).status_code == status

        await until(look, f"it is {status}")


@pytest.fixture(scope="module")
def short_patience() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "PING_S", 0.5)
        patch.setattr(jetstream_store, "READ_TIMEOUT_S", 0.4)
        patch.setattr(jetstream_store, "APPEND_TIMEOUT_S", 0.6)
        patch.setattr(desk, "PATIENCE_S", 1.0)
        patch.setattr(library, "READ_S", 1.5)
        patch.setattr(object_store, "GET_S", 0.5)
        yield


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def wired(short_patience: None, plant: Plant, plant_servers: Running, database: Running) -> AsyncGenerator[Wired]:
    settings = s3_settings(plant_servers)
    async with (
        wire(plant.nats_url) as nats,
        wire(database.postgres_url(GATEWAY)) as postgres,
        wire(settings.s3_endpoint) as s3,
        read_tables(database.postgres_url) as tables,
        AsyncExitStack() as stack,
    ):
        await tables.add_workflow(topic="bees")
        gallery = stack.enter_context(closing(S3Store(settings.model_copy(update={"s3_endpoint": s3.place}))))
        far = replace(plant, nats_url=nats.url(plant.nats_url), gallery=gallery)
        await plant.gallery.put(picture_key(new_key(), SHA256, "png"), PICTURE, "image/png")
        await plant.gallery.put(picture_pointer(OWNER, SHA256), picture_key(new_key(), SHA256, "png").encode(), "text")
        async with newsroom(far, postgres_url=postgres.url(database.postgres_url(GATEWAY))) as room:
            room.parts.health.can_do_without(tables=room.parts.library.trouble, pictures=gallery.trouble)
            yield Wired(room, nats, postgres, s3, plant)


@asynccontextmanager
async def standing_still(wired: Wired, it: Wire) -> AsyncGenerator[None]:
    it.stand_still()
    try:
        yield
    finally:
        it.go_on()
        await wired.until_ready()


async def answer(wired: Wired, method: str, path: str, **options: Any) -> tuple[int, str | None]:
    """-> the status, and the problem's code. A 503 says when to try again, and is a problem."""
    async with asyncio.timeout(IN_TIME_S):
        answer = await wired.room.http.request(method, path, **options)
    if answer.status_code == 503:
        assert answer.headers["retry-after"] == "2"
        assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json().get("code") if answer.status_code >= 400 else None


class TestLogThatStandsStill:
    async def test_every_route_answers_in_time(self, wired: Wired) -> None:
        key = await wired.room.requested()
        away, served = (503, "log-unavailable"), (200, None)
        asked: list[tuple[Any, ...]] = [
            ("GET", "/workflows", {}, served),
            ("GET", "/blog-posts", {}, served),
            ("GET", "/parked", {}, served),
            ("GET", "/status", {}, served),
            ("GET", "/health/live", {}, served),
            ("GET", f"/images/{'0' * 64}", {}, (404, "unknown-image")),
            ("GET", f"/workflows/{key.workflow_id}/events", {}, away),
            ("GET", f"/workflows/{key.workflow_id}/events?format=sse", {}, away),
            ("POST", f"/workflows/{key.workflow_id}/cancel", {}, away),
            ("POST", f"/workflows/{key.workflow_id}/resume", {}, away),
            ("POST", "/workflows", {"json": {"topic": "bees", "client_request_id": new_key().workflow_id}}, away),
            ("POST", "/workflows", {"json": {"topic": "bees"}}, (503, "fate-unknown")),
        ]
        async with standing_still(wired, wired.nats):
            answers = await asyncio.gather(*(answer(wired, how, path, **more) for how, path, more, _ in asked))
        assert {path: told for (_, path, *_), told in zip(asked, answers, strict=True)} == {
            path: told for _, path, _, told in asked
        }

    @pytest.mark.parametrize("first", ["old", "start", "attach"])
    async def test_websocket_is_told_to_try_again(self, wired: Wired, first: str) -> None:
        key = await wired.room.requested()
        frames = {
            "old": {"topic": "bees", "client_request_id": "still"},
            "start": {"type": "start", "topic": "bees", "client_request_id": "still"},
            "attach": {"type": "attach", "workflow_id": key.workflow_id},
        }
        async with standing_still(wired, wired.nats), wired.room.socket() as client, asyncio.timeout(IN_TIME_S):
            await client.say(frames[first])
            (told,) = await client.hear_all()
            assert (told["type"], told["error"]["code"]) == ("error", "log-unavailable")
            assert told["error"]["retryable"] and await client.closed() == 1013

    async def test_request_that_is_repeated_is_one_workflow(self, wired: Wired) -> None:
        request: dict[str, Any] = {"json": {"topic": "bees", "client_request_id": new_key().workflow_id}}
        async with standing_still(wired, wired.nats):
            refused = await asyncio.gather(*(answer(wired, "POST", "/workflows", **request) for _ in range(3)))
        assert {status for status, _ in refused} == {503}
        taken = await asyncio.gather(*(wired.room.http.post("/workflows", **request) for _ in range(3)))
        assert {one.status_code for one in taken} == {202}
        (workflow_id,) = {one.json()["workflow_id"] for one in taken}
        assert len(await wired.history(WorkflowKey(OWNER, workflow_id))) == 1

    async def test_request_of_unknown_fate_stands_once_or_not_at_all(self, wired: Wired) -> None:
        async with standing_still(wired, wired.nats):
            told = (await wired.room.post({"topic": "bees"})).json()
        named = told["detail"].split("in workflow ")[1].split(":")[0]
        assert len(await wired.history(WorkflowKey(OWNER, named))) in (0, 1)

    async def test_health_says_it_and_is_well_again(self, wired: Wired, lines: list[EventDict]) -> None:
        async with standing_still(wired, wired.nats):
            await wired.until_ready(503)
            told = (await wired.room.http.get("/health/ready")).json()
            assert told["parts"] == {"nats": "there is no connection to NATS"}
        told = [line["event"] for line in lines if "NATS" in line["event"]]
        assert told.count("no connection to NATS") <= 1 and told.count("connected to NATS again") <= 1


Fault = Callable[[Wire], None]
FAULTS: dict[str, Fault] = {
    "down": Wire.go_down,
    "standing still": Wire.stand_still,
    "cut": Wire.cut,
    "slow": lambda it: it.delay(0.5),
}


async def revisions(client: Client, until_revision: int) -> list[int]:
    seen: list[int] = []
    while not seen or seen[-1] < until_revision:
        frame = await client.hear()
        if frame["type"] == "event":
            seen.append(frame["revision"])
    return seen


class TestWatching:
    @pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
    async def test_live_streams_and_events_do_not_need_postgres(self, wired: Wired, fault: Fault) -> None:
        fault(wired.postgres)
        try:
            async with asyncio.timeout(IN_TIME_S), wired.room.socket() as client:
                await client.say({"type": "start", "topic": "bees"})
                key = WorkflowKey(OWNER, (await client.hear())["workflow_id"])
                path = f"/workflows/{key.workflow_id}/events"
                async with wired.room.http.stream("GET", f"{path}?format=sse") as stream:
                    await wired.record(key, claimed(Work.BLOG), blog_written(), COMPLETED)
                    told = [line async for line in stream.aiter_lines() if line.startswith("id: ")]
                assert told == ["id: 1", "id: 2", "id: 3", "id: 4"]
                assert await revisions(client, 4) == [2, 3, 4]
                assert len((await wired.room.http.get(path)).json()["events"]) == 4
        finally:
            await wired.postgres.mend()

    @pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
    async def test_watchers_miss_nothing_of_what_the_log_took_in_meanwhile(self, wired: Wired, fault: Fault) -> None:
        async with wired.room.socket() as client:
            await client.say({"type": "start", "topic": "bees"})
            key = WorkflowKey(OWNER, (await client.hear())["workflow_id"])
            fault(wired.nats)
            await wired.record(key, claimed(Work.BLOG), blog_written())
            await wired.nats.mend()
            await wired.until_ready()
            await wired.record(key, COMPLETED)
            assert await revisions(client, 4) == [2, 3, 4]

    async def test_command_over_a_socket_is_refused_and_the_socket_stays(self, wired: Wired) -> None:
        async with wired.room.socket() as client:
            await client.say({"type": "start", "topic": "bees"})
            await client.hear()
            async with standing_still(wired, wired.nats):
                await client.say({"type": "cancel"})
                assert (await client.hear())["error"]["code"] == "log-unavailable"
            await client.say({"type": "cancel"})
            frames = [await client.hear(), await client.hear()]
            assert {frame["type"] for frame in frames} == {"accepted", "event"}
            assert CANCELLED.type in {frame.get("event") for frame in frames}


class TestReads:
    async def test_slow_postgres_is_waited_for_within_bounds(self, wired: Wired) -> None:
        wired.postgres.delay(0.5)  # each answer; a first connection needs several
        try:
            answers = await asyncio.gather(*(answer(wired, "GET", "/workflows") for _ in range(30)))
        finally:
            await wired.postgres.mend()
        assert set(answers) <= {(200, None), (503, "read-tables-unavailable")}

    async def test_postgres_that_stands_still_is_one_line_and_told_as_lacking(
        self, wired: Wired, lines: list[EventDict]
    ) -> None:
        wired.room.parts.library._seldom = Seldom()  # pyright: ignore[reportPrivateUsage]  (others had their line)
        async with standing_still(wired, wired.postgres):
            answers = await asyncio.gather(*(answer(wired, "GET", "/blog-posts") for _ in range(15)))
            ready = (await wired.room.http.get("/health/ready")).json()
        assert set(answers) == {(503, "read-tables-unavailable")}
        assert (ready["status"], list(ready["without"])) == ("ok", ["tables"])

        async def is_read() -> bool:
            return (await answer(wired, "GET", "/blog-posts"))[0] == 200

        await until(is_read, "the tables are read again")
        told = [line["event"] for line in lines if "read tables" in line["event"]]
        assert told == ["the read tables cannot be read", "the read tables are read again"]
        assert "without" not in (await wired.room.http.get("/health/ready")).json()


class TestPictures:
    async def test_store_that_stands_still_holds_up_nobody_else(self, wired: Wired, lines: list[EventDict]) -> None:
        async with standing_still(wired, wired.s3):
            pictures = [asyncio.create_task(answer(wired, "GET", f"/images/{SHA256}")) for _ in range(60)]
            assert await answer(wired, "GET", "/workflows") == (200, None)
            assert (await wired.room.post({"topic": "bees"})).status_code == 202
            assert set(await asyncio.gather(*pictures)) == {(503, "object-store-unavailable")}
            ready = (await wired.room.http.get("/health/ready")).json()
            assert (ready["status"], list(ready["without"])) == ("ok", ["pictures"])

        async def is_served() -> bool:
            return (await wired.room.http.get(f"/images/{SHA256}")).status_code != 503

        await until(is_served, "pictures are served again")
        told = [line["event"] for line in lines if "object store" in line["event"]]
        assert told == ["no use of the object store", "the object store answers again"]
