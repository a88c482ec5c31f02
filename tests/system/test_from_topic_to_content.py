"""The main job on the whole system: a topic goes in, and a post, social posts and a picture come out."""

import hashlib
import io
import re

import httpx2
import pytest
from PIL import Image

from contracts.platforms import Platform
from services.writer.platforms import limit, measure
from tests.simulation.rules import check_history
from tests.system.system import Read, System, as_recorded

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLATFORMS = [str(platform) for platform in Platform]


def only(events: list[Read], event: str) -> Read:
    (found,) = [one["data"] for one in events if one["event"] == event]
    return found


class TestTheOldWebsocket:
    """Frame for frame, driven by a plain client."""

    async def test_with_research_it_tells_five_steps_and_the_workflow(self, system: System) -> None:
        frames, code = await system.watch({"topic": "The history of tea", "research": True})
        assert [(frame["type"], frame["payload"]) for frame in frames] == [
            ("progress_event", "Starting content creation workflow"),
            ("progress_event", "Searching internet for information about The history of tea"),
            ("progress_event", "Writing blog post"),
            ("progress_event", "Writing social media post"),
            ("progress_event", "Drawing illustration for content"),
            ("results", frames[0]["workflow_id"]),
        ]
        assert code == 1000

    async def test_without_research_it_tells_four_steps(self, system: System) -> None:
        frames, code = await system.watch({"topic": "The history of tea", "research": False})
        assert [frame["payload"] for frame in frames] == [
            "Starting content creation workflow",
            "Writing blog post",
            "Writing social media post",
            "Drawing illustration for content",
            frames[0]["workflow_id"],
        ]
        assert code == 1000

    async def test_structure_stands_beside_the_text(self, system: System) -> None:
        frames, _ = await system.watch({"topic": "Tea", "research": False})
        assert all(isinstance(frame["payload"], str) for frame in frames)
        assert frames[-1]["event"] == "workflow-completed"
        assert frames[1]["work"] == "blog"
        assert frames[1]["attempt"] == 1


class TestTheContent:
    async def test_every_artefact_is_made_once_in_a_legal_history(self, system: System) -> None:
        workflow_id = await system.request("Tea in Japan", research=True, platforms=PLATFORMS)
        events = (await system.until_closed([workflow_id]))[workflow_id]
        check_history(as_recorded(events))
        made = sorted(one["event"] for one in events if "edition" in one["data"])
        assert made == [
            "blog-written",
            "illustration-drawn",
            "research-completed",
            *["social-post-written"] * len(PLATFORMS),
        ]
        assert events[-1]["event"] == "workflow-completed"

    async def test_samples_say_whose_they_are_and_cost_nothing(self, system: System) -> None:
        workflow_id = await system.request("Tea in Kenya", research=True)
        events = (await system.until_closed([workflow_id]))[workflow_id]
        usages = [one["data"]["usage"] for one in events if "usage" in one["data"]]
        assert [(usage["provider"], usage["cost_usd"]) for usage in usages] == [("stand-in", 0.0)] * 4

    async def test_the_post_cites_its_sources_and_they_open(self, system: System) -> None:
        workflow_id = await system.request("Tea in China", research=True)
        events = (await system.until_closed([workflow_id]))[workflow_id]
        sources = {source["number"]: source for source in only(events, "research-completed")["sources"]}
        post = only(events, "blog-written")
        assert post["cited"]
        assert set(post["cited"]) <= set(sources)
        marks = {int(number) for number in re.findall(r"\[(\d+)\](?!\()", post["markdown"])}
        assert marks <= set(sources)
        async with httpx2.AsyncClient(trust_env=False) as reader:
            for source in sources.values():
                assert (await reader.get(source["url"])).status_code == 200

    async def test_every_social_post_fits_its_platform(self, system: System) -> None:
        workflow_id = await system.request("Tea in India", platforms=PLATFORMS)
        events = (await system.until_closed([workflow_id]))[workflow_id]
        posts = [one["data"] for one in events if one["event"] == "social-post-written"]
        assert sorted(post["platform"] for post in posts) == sorted(PLATFORMS)
        for post in posts:
            assert post["length"] == measure(post["platform"], post["text"]) <= limit(post["platform"])

    async def test_the_picture_opens_and_is_what_the_log_says(self, system: System) -> None:
        workflow_id = await system.request("Tea in Morocco")
        drawn = only((await system.until_closed([workflow_id]))[workflow_id], "illustration-drawn")
        answer = await system.http.get(f"/images/{drawn['sha256']}")
        assert hashlib.sha256(answer.content).hexdigest() == drawn["sha256"]
        assert answer.headers["content-type"] == drawn["content_type"] == "image/png"
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert picture.size == (drawn["width"], drawn["height"]) == (1024, 1024)

    async def test_two_topics_get_two_pictures(self, system: System) -> None:
        ids = [await system.request("Green tea"), await system.request("Black holes")]
        closed = await system.until_closed(ids)
        first, second = (only(closed[workflow_id], "illustration-drawn")["sha256"] for workflow_id in ids)
        assert first != second

    async def test_the_same_request_id_is_the_same_workflow(self, system: System) -> None:
        first = await system.request("Tea", client_request_id="order-17")
        assert await system.request("Tea", client_request_id="order-17") == first
        answer = await system.http.post("/workflows", json={"topic": "Coffee", "client_request_id": "order-17"})
        assert (answer.status_code, answer.json()["code"]) == (409, "request-conflict")


class TestBadInput:
    @pytest.mark.parametrize(
        "body",
        [
            b"no json",
            b"{}",
            b'{"topic": ""}',
            b'{"topic": "   "}',
            b'{"topic": 7}',
            b'{"topic": "tea", "research": "false"}',
            b'{"topic": "tea", "platforms": ["myspace"]}',
            b'{"topic": "' + b"x" * 2001 + b'"}',
            b'{"topic": "tea", "unknown": 1}',
        ],
    )
    async def test_a_bad_request_is_told_as_a_problem(self, system: System, body: bytes) -> None:
        answer = await system.http.post("/workflows", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]

    async def test_an_unknown_workflow_is_not_found(self, system: System) -> None:
        assert (await system.http.get("/workflows/no-such-one/events?format=json")).status_code == 404
