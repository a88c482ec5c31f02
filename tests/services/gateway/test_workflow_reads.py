"""`GET /workflows` and `GET /workflows/{id}`: what was asked for, how it went, and all that was made."""

from typing import Any

import pytest

from tests.services.gateway.newsroom import Newsroom
from tests.services.gateway.read_tables import LONG_AGO, NOTHING_USED, ReadTables

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def listed(room: Newsroom, query: str = "") -> list[str]:
    """The topics on a page."""
    answer = await room.http.get(f"/workflows{query}")
    assert answer.status_code == 200, answer.text
    return [item["topic"] for item in answer.json()["items"]]


async def read(room: Newsroom, workflow_id: str) -> dict[str, Any]:
    answer = await room.http.get(f"/workflows/{workflow_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestTheList:
    async def test_nothing_is_an_empty_last_page(self, reading_room: Newsroom, tables: ReadTables) -> None:
        answer = await reading_room.http.get("/workflows")
        assert answer.json() == {"items": [], "next": None, "position": 0}

    async def test_newest_request_is_first(self, reading_room: Newsroom, tables: ReadTables) -> None:
        for topic in ("one", "two", "three"):
            await tables.add_workflow(topic=topic)
        assert await listed(reading_room) == ["three", "two", "one"]

    async def test_later_events_move_no_workflow(self, reading_room: Newsroom, tables: ReadTables) -> None:
        await tables.add_workflow(topic="one", position=9)
        await tables.add_workflow(topic="two", requested_position=2)
        assert await listed(reading_room) == ["two", "one"]

    async def test_summary_tells_where_a_workflow_stands(self, reading_room: Newsroom, tables: ReadTables) -> None:
        error = {"work": "blog", "code": "key-refused", "message": "The key is refused.", "retryable": True}
        row = await tables.add_workflow(
            topic="tea",
            title="On Tea",
            status="failed",
            run=2,
            error=error,
            closed_at=LONG_AGO,
            reason="again",
            usage={**NOTHING_USED, "cost_usd": 0.25, "cost_known": False},
        )
        (item,) = (await reading_room.http.get("/workflows")).json()["items"]
        assert item == {
            "workflow_id": row["workflow_id"],
            "topic": "tea",
            "title": "On Tea",
            "status": "failed",
            "run": 2,
            "research": False,
            "platforms": ["linkedin"],
            "error": error,
            "reason": "again",
            "requested_at": "2026-01-01T12:00:01Z",
            "updated_at": "2026-01-01T12:00:01Z",
            "closed_at": "2026-01-01T12:00:00Z",
            "revision": 1,
            "position": 1,
            "cost_usd": 0.25,
            "cost_known": False,
        }

    async def test_workflows_of_others_are_not_shown(self, reading_room: Newsroom, tables: ReadTables) -> None:
        await tables.add_workflow(owner="somebody")
        assert await listed(reading_room) == []

    @pytest.mark.parametrize("status", ["open", "completed", "failed", "cancelled"])
    async def test_status_picks_workflows(self, reading_room: Newsroom, tables: ReadTables, status: str) -> None:
        for one in ("open", "completed", "failed", "cancelled"):
            await tables.add_workflow(topic=one, status=one)
        assert await listed(reading_room, f"?status={status}") == [status]


class TestOne:
    async def test_everything_of_a_workflow_is_told(self, reading_room: Newsroom, tables: ReadTables) -> None:
        works = [
            {
                "work": "blog",
                "status": "made",
                "attempts": [
                    {
                        "run": 1,
                        "attempt": 1,
                        "worker": "writer-1",
                        "claimed_at": "2026-01-01T12:00:00+00:00",
                        "ended_at": "2026-01-01T12:00:09+00:00",
                        "outcome": "made",
                        "error": None,
                        "retry_at": None,
                        "cost_known": True,
                        "usage": {"provider": "openai", "model": "m", "calls": 1, "cost_usd": 0.5},
                    }
                ],
                "usage": {**NOTHING_USED, "calls": 1, "cost_usd": 0.5},
            }
        ]
        row = await tables.add_workflow(
            works=works, notes="Bees fly.", client_request_id="mine", brief={"tone": "dry", "length": None}
        )
        told = await read(reading_room, row["workflow_id"])
        assert (told["notes"], told["client_request_id"], told["brief"]["tone"]) == ("Bees fly.", "mine", "dry")
        (work,) = told["works"]
        (attempt,) = work["attempts"]
        assert (work["work"], work["status"], attempt["outcome"], attempt["usage"]["cost_usd"]) == (
            "blog",
            "made",
            "made",
            0.5,
        )
        assert (work["usage"]["calls"], work["usage"]["cost_usd"], work["usage"]["cost_known"]) == (1, 0.5, True)
        assert told["usage"]["cost_known"] is True
        assert told["held"] is None

    async def test_cost_stands_in_the_whole_as_in_the_list(self, reading_room: Newsroom, tables: ReadTables) -> None:
        row = await tables.add_workflow(usage={**NOTHING_USED, "cost_usd": 0.0021, "cost_known": False})
        told = await read(reading_room, row["workflow_id"])
        assert (told["cost_usd"], told["cost_known"]) == (0.0021, False)
        assert (told["usage"]["cost_usd"], told["usage"]["cost_known"]) == (0.0021, False)

    async def test_tables_of_an_older_version_tell_no_usage_of_a_work(
        self, reading_room: Newsroom, tables: ReadTables
    ) -> None:
        row = await tables.add_workflow(works=[{"work": "blog", "status": "missing", "attempts": []}])
        (work,) = (await read(reading_room, row["workflow_id"]))["works"]
        assert work["usage"] is None

    async def test_all_that_was_made_is_told_in_order(self, reading_room: Newsroom, tables: ReadTables) -> None:
        workflow_id = (await tables.add_workflow())["workflow_id"]
        await tables.add_source(workflow_id=workflow_id, number=2)
        await tables.add_source(workflow_id=workflow_id, number=1)
        post = await tables.add_blog_post(workflow_id=workflow_id, cited=[1])
        for platform in ("x", "facebook"):
            await tables.add_social_media_post(workflow_id=workflow_id, platform=platform)
        image = await tables.add_image(workflow_id=workflow_id)
        told = await read(reading_room, workflow_id)
        assert [one["markdown"] for one in told["blog_posts"]] == [post["markdown"]]
        assert [one["platform"] for one in told["social_media_posts"]] == ["x", "facebook"]
        assert [one["picture"] for one in told["images"]] == [f"/images/{image['sha256']}"]
        assert [one["number"] for one in told["sources"]] == [1, 2]

    async def test_what_others_made_is_not_told(self, reading_room: Newsroom, tables: ReadTables) -> None:
        workflow_id = (await tables.add_workflow())["workflow_id"]
        await tables.add_blog_post(workflow_id=workflow_id, owner="somebody")
        await tables.add_image()
        told = await read(reading_room, workflow_id)
        assert (told["blog_posts"], told["images"]) == ([], [])

    async def test_position_of_the_tables_is_told(self, reading_room: Newsroom, tables: ReadTables) -> None:
        row = await tables.add_workflow()
        await tables.reach(57)
        told = await read(reading_room, row["workflow_id"])
        assert (told["position"], told["tables_position"]) == (row["position"], 57)

    async def test_held_workflow_says_why(self, reading_room: Newsroom, tables: ReadTables) -> None:
        row = await tables.add_workflow()
        await tables.hold(row["workflow_id"], position=7, events=3, error="it cannot be read", held_at=LONG_AGO)
        assert (await read(reading_room, row["workflow_id"]))["held"] == {
            "position": 7,
            "subject": "a subject",
            "error": "it cannot be read",
            "events": 3,
            "held_at": "2026-01-01T12:00:00Z",
        }

    async def test_unknown_workflow_is_404_with_the_tables_position(
        self, reading_room: Newsroom, tables: ReadTables
    ) -> None:
        await tables.reach(57)
        answer = await reading_room.http.get("/workflows/nothing")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown-workflow")
        assert "up to position 57" in answer.json()["detail"]

    async def test_workflow_held_from_its_first_event_is_404_with_the_reason(
        self, reading_room: Newsroom, tables: ReadTables
    ) -> None:
        await tables.hold("w1", error="position 1: it cannot be read")
        answer = await reading_room.http.get("/workflows/w1")
        assert answer.status_code == 404
        assert "position 1: it cannot be read" in answer.json()["detail"]

    async def test_workflow_of_another_is_404(self, reading_room: Newsroom, tables: ReadTables) -> None:
        row = await tables.add_workflow(owner="somebody")
        assert (await reading_room.http.get(f"/workflows/{row['workflow_id']}")).status_code == 404

    async def test_words_that_newer_code_writes_are_told_as_they_are(
        self, reading_room: Newsroom, tables: ReadTables
    ) -> None:
        works: list[Any] = [{"work": "podcast", "status": "dreamt", "attempts": [], "mood": "fine"}]
        row = await tables.add_workflow(status="waiting", platforms=["bluesky"], works=works)
        told = await read(reading_room, row["workflow_id"])
        assert (told["status"], told["platforms"], told["works"][0]["work"]) == ("waiting", ["bluesky"], "podcast")
