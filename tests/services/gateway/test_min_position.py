"""`min_position`: a read waits until the tables contain the log up to there, and says so when they do not in time."""

import asyncio

import httpx2
import pytest

from services.gateway import library
from tests.services.gateway.newsroom import Newsroom
from tests.services.gateway.read_tables import ReadTables
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

READS = [
    "/workflows",
    "/workflows?q=tea",
    "/workflows/{workflow_id}",
    "/blog-posts",
    "/blog-posts/{blog_post_id}",
    "/social-media-posts",
    "/social-media-posts/{social_media_post_id}",
    "/images",
    "/images/{image_id}",
    "/quarantine",
    "/parked",
]


async def filled(tables: ReadTables) -> dict[str, str]:
    """The tables with one of each. -> their ids"""
    workflow_id = (await tables.add_workflow(topic="tea"))["workflow_id"]
    return {
        "workflow_id": workflow_id,
        "blog_post_id": (await tables.add_blog_post(workflow_id=workflow_id))["id"],
        "social_media_post_id": (await tables.add_social_media_post(workflow_id=workflow_id))["id"],
        "image_id": (await tables.add_image(workflow_id=workflow_id))["id"],
    }


async def ask(room: Newsroom, read: str, ids: dict[str, str], min_position: int) -> httpx2.Response:
    joined = "&" if "?" in read else "?"
    return await room.http.get(f"{read.format(**ids)}{joined}min_position={min_position}")


@pytest.mark.parametrize("read", READS)
class TestEveryRead:
    async def test_position_that_is_there_is_not_waited_for(
        self, reading_room: Newsroom, tables: ReadTables, read: str
    ) -> None:
        ids = await filled(tables)
        assert (await ask(reading_room, read, ids, tables.position)).status_code == 200

    async def test_read_waits_until_the_tables_are_there(
        self, reading_room: Newsroom, tables: ReadTables, read: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids, looks = await filled(tables), list[int]()
        reach = library.Library._reach  # pyright: ignore[reportPrivateUsage]

        async def noted(self: library.Library, position: int, wanted: int, until: float) -> None:
            looks.append(wanted)
            await reach(self, position, wanted, until)

        monkeypatch.setattr(library.Library, "_reach", noted)
        reading = asyncio.create_task(ask(reading_room, read, ids, 100))

        async def has_looked() -> bool:
            return bool(looks)

        await until(has_looked, "the read waits")
        await tables.reach(99)
        await tables.reach(100)
        assert (await reading).status_code == 200

    async def test_position_that_is_not_reached_in_time_is_503(
        self, reading_room: Newsroom, tables: ReadTables, read: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(library, "REACH_S", 0.2)
        ids = await filled(tables)
        answer = await ask(reading_room, read, ids, 100)
        assert (answer.status_code, answer.json()["code"]) == (503, "projection-behind")
        assert f"up to position {tables.position}, not yet up to 100" in answer.json()["detail"]
        assert answer.headers["retry-after"] == "2"

    @pytest.mark.parametrize("min_position", ["-1", str(2**53 + 1), "x", "", "1e3", "%00"])
    async def test_position_out_of_bounds_is_refused(
        self, reading_room: Newsroom, tables: ReadTables, read: str, min_position: str
    ) -> None:
        answer = await reading_room.http.get(f"{read.partition('?')[0]}?min_position={min_position}")
        assert answer.status_code == 422 and answer.json()["detail"].startswith("min_position: ")


async def test_write_can_be_read_by_its_location(reading_room: Newsroom, tables: ReadTables) -> None:
    taken = await reading_room.post({"topic": "tea"})
    reading = asyncio.create_task(reading_room.http.get(taken.headers["location"]))
    told = taken.json()
    await tables.add_workflow(
        workflow_id=told["workflow_id"], requested_position=told["position"], position=told["position"]
    )
    answer = await reading
    assert (answer.status_code, answer.json()["topic"]) == (200, "bees")


async def test_wait_holds_no_connection(
    reading_room: Newsroom, tables: ReadTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = [
        asyncio.create_task(reading_room.http.get("/workflows?min_position=100"))
        for _ in range(3 * library.CONNECTIONS_MAX)
    ]
    assert (await reading_room.http.get("/workflows")).status_code == 200
    await tables.reach(100)
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}


async def test_picture_is_served_whatever_the_position(reading_room: Newsroom, tables: ReadTables) -> None:
    answer = await reading_room.http.get(f"/images/{'0' * 64}?min_position=100")
    assert answer.status_code == 404
