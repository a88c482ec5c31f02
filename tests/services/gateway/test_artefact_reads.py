"""`/blog-posts`, `/social-media-posts`, `/images`: what workflows made, each by itself and in lists."""

from typing import Any

import pytest

from services.gateway.shapes import EXCERPT_LENGTH, excerpt
from tests.services.gateway.newsroom import Newsroom
from tests.services.gateway.read_tables import ReadTables

pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTS = ["blog-posts", "social-media-posts", "images"]


async def items(room: Newsroom, query: str) -> list[dict[str, Any]]:
    answer = await room.http.get(f"/{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def add(tables: ReadTables, kind: str, **told: Any) -> dict[str, Any]:
    match kind:
        case "blog-posts":
            return await tables.add_blog_post(**told)
        case "social-media-posts":
            return await tables.add_social_media_post(**told)
        case _:
            return await tables.add_image(**told)


@pytest.mark.parametrize("kind", LISTS)
class TestEachKind:
    async def test_newest_is_first(self, reading_room: Newsroom, tables: ReadTables, kind: str) -> None:
        rows = [await add(tables, kind) for _ in range(3)]
        assert [item["id"] for item in await items(reading_room, kind)] == [row["id"] for row in reversed(rows)]

    async def test_workflow_picks_what_it_made(self, reading_room: Newsroom, tables: ReadTables, kind: str) -> None:
        rows = [await add(tables, kind) for _ in range(3)]
        (item,) = await items(reading_room, f"{kind}?workflow_id={rows[1]['workflow_id']}")
        assert item["id"] == rows[1]["id"]

    async def test_topic_is_that_of_its_workflow(self, reading_room: Newsroom, tables: ReadTables, kind: str) -> None:
        workflow = await tables.add_workflow(topic="tea")
        row = await add(tables, kind, workflow_id=workflow["workflow_id"])
        assert [item["topic"] for item in await items(reading_room, kind)] == ["tea"]
        assert (await reading_room.http.get(f"/{kind}/{row['id']}")).json()["topic"] == "tea"

    async def test_what_others_made_is_not_shown(self, reading_room: Newsroom, tables: ReadTables, kind: str) -> None:
        row = await add(tables, kind, owner="somebody")
        assert await items(reading_room, kind) == []
        assert (await reading_room.http.get(f"/{kind}/{row['id']}")).status_code == 404

    async def test_unknown_id_is_404(self, reading_room: Newsroom, tables: ReadTables, kind: str) -> None:
        answer = await reading_room.http.get(f"/{kind}/nothing")
        assert (answer.status_code, answer.json()["code"]) == (404, f"unknown-{kind.removesuffix('s')}")

    @pytest.mark.parametrize("workflow_id", ["", "a.b", "%00", "*", "x" * 65, "a%0A"])
    async def test_what_is_no_workflow_id_is_refused(
        self, reading_room: Newsroom, tables: ReadTables, kind: str, workflow_id: str
    ) -> None:
        answer = await reading_room.http.get(f"/{kind}?workflow_id={workflow_id}")
        assert answer.status_code == 422 and answer.json()["detail"].startswith("workflow_id: ")


class TestBlogPosts:
    async def test_list_shows_the_beginning_alone(self, reading_room: Newsroom, tables: ReadTables) -> None:
        await tables.add_blog_post(markdown="# On Bees\n\nBees fly. " + "They hum. " * 1_000)
        (item,) = await items(reading_room, "blog-posts")
        assert item["excerpt"].startswith("Bees fly. They hum.") and "markdown" not in item
        assert len(item["excerpt"]) <= EXCERPT_LENGTH + 2

    async def test_post_brings_the_sources_it_cites(self, reading_room: Newsroom, tables: ReadTables) -> None:
        workflow_id = (await tables.add_workflow())["workflow_id"]
        for number in (1, 2, 3):
            await tables.add_source(workflow_id=workflow_id, number=number, url=f"https://bees.example/{number}")
        row = await tables.add_blog_post(workflow_id=workflow_id, cited=[3, 1])
        told = (await reading_room.http.get(f"/blog-posts/{row['id']}")).json()
        assert (told["markdown"], told["cited"]) == (row["markdown"], [3, 1])
        assert [source["url"] for source in told["sources"]] == ["https://bees.example/1", "https://bees.example/3"]

    async def test_sources_are_of_the_research_it_was_written_from(
        self, reading_room: Newsroom, tables: ReadTables
    ) -> None:
        workflow_id = (await tables.add_workflow())["workflow_id"]
        await tables.add_source(workflow_id=workflow_id, edition=1, title="old")
        await tables.add_source(workflow_id=workflow_id, edition=2, title="known")
        row = await tables.add_blog_post(workflow_id=workflow_id, cited=[1])
        await tables.add_source(workflow_id=workflow_id, edition=3, title="later")
        told = (await reading_room.http.get(f"/blog-posts/{row['id']}")).json()
        assert [source["title"] for source in told["sources"]] == ["known"]

    async def test_post_without_research_has_no_sources(self, reading_room: Newsroom, tables: ReadTables) -> None:
        row = await tables.add_blog_post()
        assert (await reading_room.http.get(f"/blog-posts/{row['id']}")).json()["sources"] == []


class TestExcerpt:
    @pytest.mark.parametrize(
        ("markdown", "told"),
        [
            ("# On Bees\n\nThey fly.", "They fly."),
            ("They fly.\n\n## And hum\n", "They fly. ## And hum"),
            ("# On Bees", "# On Bees"),
            ("", ""),
            ("x" * 300, "x" * EXCERPT_LENGTH + " …"),
            ("ab " * 100, "ab " * 66 + "…"),
        ],
        ids=lambda text: text[:12],
    )
    async def test_beginning_is_one_line_of_whole_words(self, markdown: str, told: str) -> None:
        assert excerpt(markdown) == told


class TestSocialMediaPosts:
    async def test_platform_picks_posts(self, reading_room: Newsroom, tables: ReadTables) -> None:
        for platform in ("x", "facebook", "x"):
            await tables.add_social_media_post(platform=platform)
        assert [item["platform"] for item in await items(reading_room, "social-media-posts?platform=x")] == ["x", "x"]

    async def test_both_filters_hold_at_once(self, reading_room: Newsroom, tables: ReadTables) -> None:
        workflow_id = (await tables.add_workflow())["workflow_id"]
        for platform in ("x", "facebook"):
            await tables.add_social_media_post(platform=platform, workflow_id=workflow_id)
        await tables.add_social_media_post(platform="x")
        query = f"social-media-posts?platform=x&workflow_id={workflow_id}"
        (item,) = await items(reading_room, query)
        assert (item["platform"], item["workflow_id"]) == ("x", workflow_id)

    async def test_unknown_platform_is_refused(self, reading_room: Newsroom, tables: ReadTables) -> None:
        answer = await reading_room.http.get("/social-media-posts?platform=myspace")
        assert answer.status_code == 422 and "linkedin" in answer.json()["detail"]

    async def test_post_is_told_whole(self, reading_room: Newsroom, tables: ReadTables) -> None:
        row = await tables.add_social_media_post(text="Bees! " * 400, length=2_400)
        told = (await reading_room.http.get(f"/social-media-posts/{row['id']}")).json()
        assert (told["text"], told["length"], told["platform"]) == (row["text"], 2_400, "linkedin")


class TestQuarantine:
    async def test_held_workflows_are_told_latest_first(self, reading_room: Newsroom, tables: ReadTables) -> None:
        for workflow_id in ("w1", "w2"):
            await tables.hold(workflow_id)
        held = await items(reading_room, "quarantine")
        assert [(one["workflow_id"], one["position"]) for one in held] == [("w2", 2), ("w1", 1)]
        assert held[0]["error"] == "position 2: it cannot be read"

    async def test_held_workflows_of_others_are_not_told(self, reading_room: Newsroom, tables: ReadTables) -> None:
        await tables.hold("w1", owner="somebody")
        assert await items(reading_room, "quarantine") == []
