"""The views change over to other tables while they are read: no read fails, and none sees half of a change."""

import asyncio
from collections.abc import AsyncGenerator

import asyncpg
import pytest
import pytest_asyncio

from contracts.services import GATEWAY
from local.postgres import ADMIN
from local.servers import Running
from tests.services.gateway.newsroom import Newsroom
from tests.services.gateway.read_tables import TABLES, ReadTables

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHANGES = 40


@pytest_asyncio.fixture(loop_scope="module")
async def two(tables: ReadTables, database: Running) -> AsyncGenerator[ReadTables]:
    """Two generations with the same workflow; in each, its titles and the position are the generation's own."""
    admin = await asyncpg.connect(database.postgres_url(ADMIN))
    await tables.make_generation(2)
    for generation in (1, 2):
        tables.generation = generation
        await tables.add_workflow(workflow_id="w1", topic="bees", title=f"of {generation}", requested_position=1)
        await tables.add_blog_post(id="p1", workflow_id="w1", title=f"of {generation}", position=2)
        await tables.add_social_media_post(id="s1", workflow_id="w1", text=f"of {generation}", position=3)
        await tables.add_image(id="i1", workflow_id="w1", alt_text=f"of {generation}", position=4)
        why = {"work": "blog", "code": "a-code", "message": f"of {generation}", "retryable": True}
        await tables.add_failed(title=f"of {generation}", error=why, requested_position=5)
        await tables.hold("w3", error=f"of {generation}", position=6)
        await tables.reach(100 * generation)
    await tables.change_over(1)
    yield tables
    await tables.change_over(1)
    await tables.connection.execute(
        "DROP SCHEMA read_2 CASCADE; DELETE FROM projection.checkpoints WHERE generation = 2"
    )
    await admin.close()


async def deadlocks(tables: ReadTables) -> int:
    return await tables.connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")


class TestChangeOver:
    async def test_no_read_fails_and_none_is_of_two_generations(self, reading_room: Newsroom, two: ReadTables) -> None:
        changing, before = True, await deadlocks(two)
        seen = set[int]()

        async def reader(path: str) -> None:
            while changing:
                answer = await reading_room.http.get(path)
                assert answer.status_code == 200, answer.text
                told = answer.json()
                generation = (told.get("tables_position") or told["position"]) // 100
                seen.add(generation)
                words = [word for word in answer.text.split('"') if word.startswith("of ")]
                assert words and set(words) == {f"of {generation}"}

        async def changer() -> None:
            nonlocal changing
            for change in range(CHANGES):
                await two.change_over(2 - change % 2)
            changing = False

        paths = ["/workflows/w1"] * 3 + ["/workflows", "/workflows?q=bees", "/blog-posts", "/social-media-posts"]
        await asyncio.gather(changer(), *(reader(path) for path in [*paths, "/images", "/parked"]))
        assert seen == {1, 2}
        assert await deadlocks(two) == before

    async def test_single_artefacts_are_read_across_a_change(self, reading_room: Newsroom, two: ReadTables) -> None:
        for generation in (1, 2, 1):
            await two.change_over(generation)
            for path, name in (
                ("/blog-posts/p1", "title"),
                ("/social-media-posts/s1", "text"),
                ("/images/i1", "alt_text"),
            ):
                assert (await reading_room.http.get(path)).json()[name] == f"of {generation}"

    async def test_dropped_generation_fails_no_read(self, reading_room: Newsroom, two: ReadTables) -> None:
        for _ in range(20):
            assert (await reading_room.http.get("/workflows/w1")).status_code == 200
        await two.change_over(2)
        await two.connection.execute("DROP SCHEMA read_1 CASCADE")
        try:
            answers = await asyncio.gather(*(reading_room.http.get("/workflows/w1") for _ in range(20)))
            assert {answer.json()["title"] for answer in answers} == {"of 2"}
        finally:
            await two.connection.execute("DELETE FROM projection.checkpoints WHERE generation = 1")
            await two.make_generation(1)

    async def test_position_that_only_the_older_tables_had_is_waited_for(
        self, reading_room: Newsroom, two: ReadTables
    ) -> None:
        await two.change_over(2)
        assert (await reading_room.http.get("/workflows/w1?min_position=150")).status_code == 200
        await two.change_over(1)
        reading = asyncio.create_task(reading_room.http.get("/workflows/w1?min_position=150"))
        await two.reach(150)
        assert (await reading).json()["tables_position"] == 150


class TestBeforeThereAreTables:
    @pytest.mark.parametrize(
        "path", ["/workflows", "/workflows?q=tea", "/workflows/w1", "/images", "/quarantine", "/parked"]
    )
    async def test_views_that_are_not_there_are_503(
        self, reading_room: Newsroom, tables: ReadTables, path: str
    ) -> None:
        await tables.remove_views()
        answer = await reading_room.http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "read-tables-unavailable")
        await tables.change_over(1)
        assert (await reading_room.http.get("/workflows")).status_code == 200

    async def test_tables_of_an_older_shape_are_503(self, reading_room: Newsroom, tables: ReadTables) -> None:
        await tables.connection.execute("DROP VIEW read.workflows; CREATE VIEW read.workflows AS SELECT 1 AS one")
        answer = await reading_room.http.get("/workflows")
        assert (answer.status_code, answer.json()["code"]) == (503, "read-tables-unavailable")

    async def test_no_live_generation_is_503(self, reading_room: Newsroom, tables: ReadTables) -> None:
        await tables.connection.execute("DELETE FROM projection.live")
        assert (await reading_room.http.get("/workflows")).status_code == 503

    async def test_missing_right_is_503(self, reading_room: Newsroom, tables: ReadTables) -> None:
        await tables.connection.execute("REVOKE SELECT ON read.workflows FROM gateway")
        assert (await reading_room.http.get("/workflows")).status_code == 503

    async def test_rooms_that_are_not_set_up_are_503(self, reading_room: Newsroom, tables: ReadTables) -> None:
        await tables.connection.execute("REVOKE USAGE ON SCHEMA read FROM gateway")
        assert (await reading_room.http.get("/workflows")).status_code == 503
        await tables.connection.execute("GRANT USAGE ON SCHEMA read TO gateway")


class TestRights:
    @pytest.mark.parametrize(
        "statement",
        [
            *(f"TABLE read_1.{table}" for table in TABLES),
            "SELECT 1 FROM projection.checkpoints",
            "SELECT 1 FROM projection.quarantine",
            "SELECT 1 FROM archive.events",
            "INSERT INTO read.sources SELECT * FROM read.sources",
            "DELETE FROM read.workflows",
            "UPDATE read.workflows SET topic = 'x'",
            "DROP VIEW read.workflows",
            "CREATE SCHEMA mine",
            "CREATE TABLE read.mine (id text)",
            "CREATE TEMPORARY TABLE mine (id text)",
        ],
    )
    async def test_gateway_may_read_the_views_and_nothing_else(
        self, tables: ReadTables, database: Running, statement: str
    ) -> None:
        connection = await asyncpg.connect(database.postgres_url(GATEWAY))
        try:
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError)):
                await connection.execute(statement)
        finally:
            await connection.close()
