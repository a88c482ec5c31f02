"""`GET /status`: what runs, what waits, how full and how far; told in time, whatever is away."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from chassis.connection import Connection
from chassis.health import Health
from chassis.jetstream_store import STREAM
from chassis.presence import Load, announced
from chassis.settings import Settings
from chassis.setup import reconcile
from chassis.topology import SET_UP
from contracts.services import GATEWAY, ILLUSTRATOR, PROJECTOR, SERVICES, STAGES, WRITER
from local.servers import Running
from services.gateway import lookout, troubles
from tests.services.gateway.nats_server import NatsServer, nats_server
from tests.services.gateway.newsroom import Newsroom, Plant, newsroom
from tests.services.gateway.postgres_server import PostgresServer, postgres_server
from tests.services.gateway.read_tables import ReadTables, read_tables
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

Told = dict[str, Any]
"""What the status tells."""

IN_TIME_S = 4.0
"""The lookout's own patience is 2 s; the rest is for a slow machine."""


async def status(room: Newsroom) -> Told:
    async with asyncio.timeout(IN_TIME_S):
        answer = await room.http.get("/status")
    assert answer.status_code == 200, answer.text
    return answer.json()


def processes(told: Told, service: str) -> list[Told]:
    return next(one["processes"] for one in told["services"] if one["service"] == service)


def stage(told: Told, name: str) -> Told:
    return next(one for one in told["stages"] if one["stage"] == name)


async def until_told(room: Newsroom, holds: Callable[[Told], object], what: str) -> Told:
    async def look() -> Told | None:
        told = await status(room)
        return told if holds(told) else None

    return await until(look, what)


@asynccontextmanager
async def everybody(plant: Plant, *without: str, **trouble: str) -> AsyncGenerator[None]:
    """A process of every service, played by the test. `trouble`: of the writer's parts."""
    async with AsyncExitStack() as stack:
        for service in SERVICES:
            if service in without:
                continue
            connection = await plant.connection(service)
            stack.push_async_callback(connection.close)
            parts = trouble if service == WRITER else {}
            health = Health(nats=lambda: None, **{part: (lambda what=what: what) for part, what in parts.items()})
            await stack.enter_async_context(
                announced(
                    connection,
                    service,
                    health,
                    worker=f"{service}@press:1",
                    load=(lambda: Load(4, 1)) if service in STAGES else None,
                )
            )
        yield


class TestInOrder:
    async def test_nothing_is_wrong(self, reading_room: Newsroom, plant: Plant, tables: ReadTables) -> None:
        await tables.reach((await status(reading_room))["log"]["last_position"])
        async with everybody(plant):
            told = await until_told(reading_room, lambda told: not told["trouble"], "nothing is wrong")
        assert [one["service"] for one in told["services"]] == list(SERVICES)
        assert all(len(one["processes"]) == 1 for one in told["services"])

    async def test_process_is_told_in_its_own_words(self, reading_room: Newsroom, plant: Plant) -> None:
        async with everybody(plant, consumer="it is refused"):
            told = await until_told(reading_room, lambda told: processes(told, PROJECTOR), "all were heard")
        (writer,), (projector,) = processes(told, WRITER), processes(told, PROJECTOR)
        assert writer.pop("started_at") <= writer.pop("heard_at")
        assert writer == {
            "worker": "writer@press:1",
            "host": os.uname().nodename,
            "ready": False,
            "parts": {"nats": "ok", "consumer": "it is refused"},
            "slots": 4,
            "busy": 1,
        }
        assert (projector["ready"], projector["slots"], projector["busy"]) == (True, None, None)
        assert "writer@press:1 is not ready: consumer: it is refused." in told["trouble"]

    async def test_process_that_left_is_missed(self, reading_room: Newsroom, plant: Plant) -> None:
        async with everybody(plant):
            await until_told(reading_room, lambda told: processes(told, WRITER), "it is there")
        told = await until_told(reading_room, lambda told: not processes(told, WRITER), "it has left")
        assert any(one.startswith("No process of the service writer was heard") for one in told["trouble"])

    async def test_stage_tells_what_waits(self, reading_room: Newsroom) -> None:
        before = stage(await status(reading_room), WRITER)
        await reading_room.requested()
        after = await until_told(
            reading_room,
            lambda told: stage(told, WRITER)["waiting"] == before["waiting"] + 1,
            "the request waits for the writer",
        )
        assert [one["stage"] for one in after["stages"]] == list(STAGES)
        assert stage(after, WRITER) == {**before, "waiting": before["waiting"] + 1}

    async def test_log_tells_how_full_it_is(self, reading_room: Newsroom) -> None:
        before = (await status(reading_room))["log"]
        await reading_room.requested()
        after = (await status(reading_room))["log"]
        assert (after["events"], after["last_position"]) == (before["events"] + 1, before["last_position"] + 1)
        assert after["bytes"] > before["bytes"] and after["bytes_max"] == 256 * 1024**2


class TestTheProjection:
    async def test_it_tells_how_far_the_tables_are(self, reading_room: Newsroom, tables: ReadTables) -> None:
        await reading_room.requested()
        last = (await status(reading_room))["log"]["last_position"]
        await tables.reach(last - 1)
        told = (await status(reading_room))["projection"]
        assert told.pop("moved_at")
        assert told == {"position": last - 1, "lag": 1, "held": 0, "generation": 1}

    async def test_tables_that_are_further_than_the_log_was_lack_nothing(
        self, reading_room: Newsroom, tables: ReadTables
    ) -> None:
        await tables.reach(10**9)
        assert (await status(reading_room))["projection"]["lag"] == 0

    async def test_tables_that_stay_behind_are_trouble(
        self, reading_room: Newsroom, tables: ReadTables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await reading_room.requested()
        await tables.reach(0)
        monkeypatch.setattr(troubles, "BEHIND_MAX_S", -1.0)
        told = await status(reading_room)
        assert any(f"lack {told['projection']['lag']} event" in one for one in told["trouble"])

    async def test_tables_a_moment_behind_are_no_trouble(
        self, reading_room: Newsroom, tables: ReadTables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await reading_room.requested()
        await tables.reach((await status(reading_room))["log"]["last_position"] - 1)
        monkeypatch.setattr(troubles, "BEHIND_MAX_S", 3_600.0)
        assert not any("of the log, the oldest for" in one for one in (await status(reading_room))["trouble"])

    async def test_held_workflows_are_counted(self, reading_room: Newsroom, tables: ReadTables) -> None:
        await tables.hold("w1")
        await tables.hold("w2")
        told = await status(reading_room)
        assert told["projection"]["held"] == 2
        assert any(one.startswith("2 workflows are held back") for one in told["trouble"])

    async def test_tables_that_are_not_there_yet_are_told_so(self, reading_room: Newsroom, tables: ReadTables) -> None:
        await tables.remove_views()
        told = await status(reading_room)
        await tables.change_over(1)
        assert told["projection"] is None
        assert any("are not there yet" in one for one in told["trouble"])


class TestWhatIsAsked:
    @pytest.mark.parametrize("query", ["verbose=1", "min_position=3", "=", "a=1&a=2"])
    async def test_unknown_parameter_is_refused(self, room: Newsroom, query: str) -> None:
        answer = await room.http.get(f"/status?{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, "bad-request")

    async def test_it_cannot_be_posted_to(self, room: Newsroom) -> None:
        assert (await room.http.post("/status")).status_code == 405


class TestWithoutPostgres:
    async def test_the_rest_is_told(self, room: Newsroom) -> None:
        told = await status(room)
        assert told["projection"] is None
        assert told["log"]["bytes_max"] and all(one["waiting"] is not None for one in told["stages"])
        assert "The read tables do not answer: Postgres is away, or takes too long." in told["trouble"]

    async def test_trouble_does_not_say_where_postgres_is(self, room: Newsroom) -> None:
        told = await status(room)
        assert "127.0.0.1" not in str(told["trouble"])

    async def test_frozen_postgres_is_told_in_time(self, plant: Plant, frozen: PostgresServer) -> None:
        async with newsroom(plant, postgres_url=frozen.url(GATEWAY)) as room:
            assert (await status(room))["projection"]
            frozen.freeze()
            try:
                told = await asyncio.gather(*(status(room) for _ in range(30)))
            finally:
                frozen.thaw()
        assert all(one["projection"] is None and one["log"] for one in told)

    @pytest_asyncio.fixture(loop_scope="module")
    async def frozen(self) -> AsyncGenerator[PostgresServer]:
        async with postgres_server() as postgres:
            async with read_tables(postgres.url):
                pass
            yield postgres


@dataclass(frozen=True)
class Outage:
    """A gateway whose NATS comes and goes; its Postgres stays."""

    room: Newsroom
    nats: NatsServer


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def outage(database: Running) -> AsyncGenerator[Outage]:
    url_of = database.postgres_url
    async with (
        nats_server() as nats,
        read_tables(url_of),
        newsroom(nats.plant, postgres_url=url_of(GATEWAY)) as room,
    ):
        yield Outage(room, nats)


class TestWithoutNats:
    async def test_the_rest_is_told_until_it_is_back(self, outage: Outage) -> None:
        await outage.nats.kill()
        told = await until_told(outage.room, lambda told: told["services"] is None, "it is missed")
        assert (told["stages"], told["log"]) == (None, None)
        assert (told["projection"]["position"], told["projection"]["lag"]) == (0, None)
        assert told["trouble"] == [lookout.NO_CONNECTION]
        await outage.nats.start()
        await until_told(outage.room, lambda told: told["log"], "it is back")

    async def test_processes_are_heard_again_when_it_is_back(self, outage: Outage) -> None:
        writer = await outage.nats.plant.connection(WRITER)
        async with announced(writer, WRITER, Health(), worker="w1", every_s=0.1):
            await until_told(outage.room, lambda told: processes(told, WRITER), "it is heard")
            await outage.nats.kill()
            await until_told(outage.room, lambda told: told["services"] is None, "NATS is missed")
            await outage.nats.start()
            told = await until_told(outage.room, lambda told: told["services"], "NATS is back")
            assert any("this gateway has listened for 0 s" in one for one in told["trouble"])  # of the others
            await until_told(outage.room, lambda told: processes(told, WRITER), "it is heard again")
        await writer.close()

    async def test_frozen_nats_is_told_in_time(self, outage: Outage, monkeypatch: pytest.MonkeyPatch) -> None:
        connection = await outage.room.connection(GATEWAY)

        async def lost(*_: object, **__: object) -> None:
            """The server takes everything in and answers nothing."""

        monkeypatch.setattr(connection, "publish", lost)
        told = await status(outage.room)
        assert told["log"] is None and told["projection"]["lag"] is None
        assert told["stages"] == [
            {"stage": stage, "waiting": None, "in_hand": None, "redelivered": None, "free_slots": None}
            for stage in STAGES
        ]
        assert any(one.startswith("The log cannot be told") for one in told["trouble"])


class TestWhatIsMissingOnNats:
    @pytest_asyncio.fixture(loop_scope="module")
    async def set_up(self, outage: Outage) -> AsyncGenerator[Connection]:
        """The set-up's connection; whatever a test breaks is brought back."""
        connection = await outage.nats.plant.connection(SET_UP)
        yield connection
        await outage.nats.plant.set_up()
        await connection.close()

    async def test_missing_consumer_is_trouble_of_its_stage_alone(self, outage: Outage, set_up: Connection) -> None:
        await set_up.ask(f"$JS.API.CONSUMER.DELETE.{STREAM}.{ILLUSTRATOR}", b"", timeout_s=5)
        told = await status(outage.room)
        assert stage(told, ILLUSTRATOR)["waiting"] is None and stage(told, WRITER)["waiting"] is not None
        assert any("the stage illustrator has no consumer" in one for one in told["trouble"])

    async def test_log_that_fills_up_is_trouble(self, outage: Outage, set_up: Connection) -> None:
        await outage.room.requested()
        held = (await status(outage.room))["log"]["bytes"]
        await reconcile(set_up, Settings.model_construct(log_bytes_max=round(held / 0.8)))
        assert any("80 % full" in one for one in (await status(outage.room))["trouble"])

    async def test_missing_log_is_told_so(self, outage: Outage, set_up: Connection) -> None:
        await set_up.ask(f"$JS.API.STREAM.DELETE.{STREAM}", b"", timeout_s=5)
        told = await status(outage.room)
        assert told["log"] is None and any("there is no log; run" in one for one in told["trouble"])
