"""When Postgres is away, only the reads say so, at once; when it is back, they go on by themselves."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import asyncpg
import httpx2
import pytest
import pytest_asyncio

from contracts.services import GATEWAY
from contracts.works import Work
from local.postgres import ADMIN
from services.gateway import library
from tests.services.gateway.newsroom import COMPLETED, Newsroom, Plant, claimed, newsroom
from tests.services.gateway.postgres_server import PostgresServer, postgres_server
from tests.services.gateway.read_tables import read_tables
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE_S = 3.0

READS = [
    "/workflows",
    "/workflows?q=bees",
    "/workflows/w1",
    "/blog-posts",
    "/blog-posts/p1",
    "/social-media-posts",
    "/social-media-posts/p1",
    "/images",
    "/images/p1",
    "/quarantine",
    "/parked",
]


@dataclass(frozen=True)
class Outage:
    """A gateway whose Postgres comes and goes."""

    room: Newsroom
    postgres: PostgresServer

    async def read(self, path: str = "/workflows") -> httpx2.Response:
        return await self.room.http.get(path)

    async def all_connected(self) -> None:
        """Leaves the gateway with as many connections as it may have."""
        await asyncio.gather(*(self.read() for _ in range(3 * library.CONNECTIONS_MAX)))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def outage(plant: Plant) -> AsyncGenerator[Outage]:
    async with postgres_server() as postgres:
        async with read_tables(postgres.url) as tables:
            await tables.add_workflow(topic="bees")
        async with newsroom(plant, postgres_url=postgres.url(GATEWAY)) as room:
            yield Outage(room, postgres)


class TestWithoutPostgres:
    @pytest.mark.parametrize("path", READS)
    async def test_read_is_answered_503_at_once(self, room: Newsroom, path: str) -> None:
        async with asyncio.timeout(AT_ONCE_S):
            answer = await room.http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "read-tables-unavailable")
        assert answer.headers["retry-after"] == "2"
        assert answer.headers["content-type"] == "application/problem+json"

    async def test_answer_does_not_say_where_postgres_is(self, room: Newsroom) -> None:
        answer = await room.http.get("/workflows")
        assert "127.0.0.1" not in answer.text and "pressroom" not in answer.text

    async def test_wait_for_a_position_does_not_delay_it(self, room: Newsroom) -> None:
        async with asyncio.timeout(AT_ONCE_S):
            assert (await room.http.get("/workflows?min_position=9")).status_code == 503

    async def test_websocket_goes_on(self, room: Newsroom) -> None:
        async with room.socket() as client:
            await client.say({"topic": "bees", "client_request_id": "dark"})
            await client.hear()
            key = await room.requested(client_request_id="dark")
            await room.record(key, claimed(Work.BLOG), COMPLETED)
            assert [frame["payload"] for frame in await client.hear_all()] == ["Writing blog post", key.workflow_id]

    async def test_events_are_read(self, room: Newsroom) -> None:
        key = await room.requested()
        assert (await room.http.get(f"/workflows/{key.workflow_id}/events")).status_code == 200

    async def test_gateway_is_ready(self, room: Newsroom) -> None:
        assert (await room.http.get("/health/ready")).status_code == 200

    async def test_bad_questions_are_still_told_apart(self, room: Newsroom) -> None:
        assert (await room.http.get("/workflows?limit=0")).status_code == 422

    @pytest.mark.parametrize("url", ["", "nonsense", "postgresql://127.0.0.1:port/x", "mysql://127.0.0.1/x"])
    async def test_wrong_address_is_503_as_well(self, plant: Plant, url: str) -> None:
        async with newsroom(plant, postgres_url=url) as room:
            assert (await room.http.get("/workflows")).status_code == 503


class TestWhenItDies:
    async def test_reads_are_503_until_it_is_back(self, outage: Outage) -> None:
        await outage.postgres.kill()
        async with asyncio.timeout(AT_ONCE_S):
            assert (await outage.read()).status_code == 503
        await outage.postgres.start()
        assert [item["topic"] for item in (await outage.read()).json()["items"]] == ["bees"]

    async def test_connections_that_were_lost_unnoticed_fail_no_read(self, outage: Outage) -> None:
        await outage.all_connected()
        await outage.postgres.kill()
        await outage.postgres.start()
        answers = await asyncio.gather(*(outage.read() for _ in range(3 * library.CONNECTIONS_MAX)))
        assert [answer.status_code for answer in answers] == [200] * len(answers)

    async def test_connections_that_an_operator_ends_fail_no_read(self, outage: Outage) -> None:
        await outage.all_connected()
        operator = await asyncpg.connect(outage.postgres.url(ADMIN))
        reading = [asyncio.create_task(outage.read("/workflows?q=bees")) for _ in range(50)]
        for _ in range(10):
            await operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gateway'")
        answers = await asyncio.gather(*reading)
        await operator.close()
        assert [answer.status_code for answer in answers] == [200] * len(answers)

    async def test_reads_go_on_while_it_is_killed_again_and_again(self, outage: Outage) -> None:
        async def is_read() -> bool:
            answer = await outage.read()
            assert answer.status_code in (200, 503)
            return answer.status_code == 200

        for _ in range(3):
            reading = asyncio.gather(*(outage.read() for _ in range(20)))
            await outage.postgres.kill()
            assert {answer.status_code for answer in await reading} <= {200, 503}
            await outage.postgres.start()
            await until(is_read, "the tables are read again", within_s=AT_ONCE_S)


class TestWhenItHangs:
    @pytest.fixture(autouse=True)
    def _short_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(library, "READ_S", 0.5)

    async def test_frozen_server_is_503_in_time(self, outage: Outage) -> None:
        await outage.all_connected()
        outage.postgres.freeze()
        try:
            async with asyncio.timeout(AT_ONCE_S):
                answers = await asyncio.gather(*(outage.read() for _ in range(3 * library.CONNECTIONS_MAX)))
        finally:
            outage.postgres.thaw()
        assert {answer.status_code for answer in answers} == {503}

        async def is_read() -> bool:
            return (await outage.read()).status_code == 200

        await until(is_read, "the tables are read again")

    async def test_reads_under_way_are_measured(self, outage: Outage) -> None:
        tables = outage.room.parts.library
        operator = await asyncpg.connect(outage.postgres.url(ADMIN))
        async with operator.transaction():
            await operator.execute("LOCK TABLE read_1.workflows")
            reading = [asyncio.create_task(outage.read()) for _ in range(2 * library.CONNECTIONS_MAX)]

            async def are_all_under_way() -> bool:
                length, most = tables.reads()
                return length == most == library.CONNECTIONS_MAX

            await until(are_all_under_way, "as many reads as may be are under way")
            await asyncio.gather(*reading)
        await operator.close()

        async def is_free() -> bool:
            return tables.reads().length == 0

        await until(is_free, "none is")

    async def test_locked_tables_are_503_in_time(self, outage: Outage) -> None:
        operator = await asyncpg.connect(outage.postgres.url(ADMIN))
        async with operator.transaction():
            await operator.execute("LOCK TABLE read_1.workflows")
            async with asyncio.timeout(AT_ONCE_S):
                assert (await outage.read()).status_code == 503
        await operator.close()
        assert (await outage.read()).status_code == 200
