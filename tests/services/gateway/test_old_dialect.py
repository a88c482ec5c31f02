"""`ws /content`, frame for frame: what an old client hears from its request to the close."""

from typing import Any

import pytest

from contracts.events import Failure, WorkflowFailed, WorkflowResumed
from contracts.subjects import WorkflowKey
from contracts.works import Work
from services.gateway.desk import OWNER
from tests.services.gateway.newsroom import (
    CANCELLED,
    COMPLETED,
    Client,
    Newsroom,
    Plant,
    asked,
    claimed,
    new_key,
    newsroom,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

START = "Starting content creation workflow"
SEARCHING = "Searching internet for information about bees"
BLOG, SOCIAL, PICTURE = "Writing blog post", "Writing social media post", "Drawing illustration for content"

REFUSED = Failure(code="key-refused", message="The key is refused. Set a valid one.", retryable=True)


async def started(client: Client, **request: Any) -> WorkflowKey:
    """Asks for a workflow and hears that it starts."""
    await client.say({"topic": "bees", "research": False, **request})
    first = await client.hear()
    assert (first["type"], first["payload"]) == ("progress_event", START)
    return WorkflowKey(OWNER, first["workflow_id"])


def told(frames: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(frame["type"], frame["payload"]) for frame in frames]


class TestTheOldContract:
    async def test_workflow_without_research_frame_for_frame(self, room: Newsroom) -> None:
        async with room.socket() as client:
            key = await started(client)
            await room.record(
                key, claimed(Work.BLOG), claimed(Work.SOCIAL_LINKEDIN), claimed(Work.ILLUSTRATION), COMPLETED
            )
            assert told(await client.hear_all()) == [
                ("progress_event", BLOG),
                ("progress_event", SOCIAL),
                ("progress_event", PICTURE),
                ("results", key.workflow_id),
            ]
            assert await client.closed() == 1000

    async def test_workflow_with_research_frame_for_frame(self, room: Newsroom) -> None:
        async with room.socket() as client:
            key = await started(client, research=True)
            works = Work.RESEARCH, Work.BLOG, Work.SOCIAL_LINKEDIN, Work.ILLUSTRATION
            await room.record(key, *map(claimed, works), COMPLETED)
            assert told(await client.hear_all()) == [
                *(("progress_event", text) for text in (SEARCHING, BLOG, SOCIAL, PICTURE)),
                ("results", key.workflow_id),
            ]
            assert await client.closed() == 1000

    async def test_research_is_off_unless_asked_for(self, room: Newsroom) -> None:
        async with room.socket() as client:
            await client.say({"topic": "bees"})
            key = WorkflowKey(OWNER, (await client.hear())["workflow_id"])
        assert not (await room.history(key)).state.asked.research

    async def test_every_frame_is_text_with_a_string_payload(self, room: Newsroom) -> None:
        async with room.socket() as client:
            key = await started(client)
            await room.record(key, claimed(Work.BLOG), COMPLETED)
            frames = [frame async for frame in client.socket]
            assert all(isinstance(frame, str) for frame in frames)

    async def test_structure_stands_beside_the_payload(self, room: Newsroom) -> None:
        async with room.socket() as client:
            key = await started(client)
            await room.record(key, claimed(Work.BLOG))
            frame = await client.hear()
        assert frame.pop("ts")
        assert frame == {
            "type": "progress_event",
            "payload": BLOG,
            "workflow_id": key.workflow_id,
            "revision": 2,
            "event": "work-claimed",
            "work": "blog",
            "attempt": 1,
        }


class TestOrder:
    async def test_early_illustration_is_held_back(self, room: Newsroom) -> None:
        async with room.socket() as client:
            key = await started(client)
            await room.record(key, claimed(Work.BLOG), claimed(Work.ILLUSTRATION), claimed(Work.SOCIAL_LINKEDIN))
            assert [(await client.hear())["payload"] for _ in range(3)] == [BLOG, SOCIAL, PICTURE]

    async def test_each_text_is_told_once(self, room: Newsroom) -> None:
        async with room.socket() as client:
            key = await started(client, platforms=["linkedin", "x"])
            posts = claimed(Work.SOCIAL_LINKEDIN), claimed(Work.SOCIAL_X)
            await room.record(key, claimed(Work.BLOG), claimed(Work.BLOG, 2), *posts, COMPLETED)
            assert [payload for _, payload in told(await client.hear_all())] == [BLOG, SOCIAL, key.workflow_id]


class TestTheEnd:
    async def test_failure_is_told_with_its_reason_beside(self, room: Newsroom) -> None:
        async with room.socket() as client:
            key = await started(client)
            failed = WorkflowFailed(run=1, work=Work.BLOG, attempt=1, error=REFUSED)
            await room.record(key, claimed(Work.BLOG), failed)
            *_, last = await client.hear_all()
            assert (last["type"], last["payload"], last["work"]) == ("results", "Failed", "blog")
            assert last["error"] == REFUSED.model_dump()
            assert await client.closed() == 1000

    async def test_cancel_is_told_as_failed(self, room: Newsroom) -> None:
        async with room.socket() as client:
            key = await started(client)
            await room.record(key, CANCELLED)
            (last,) = await client.hear_all()
            assert (last["payload"], last["error"]["code"]) == ("Failed", "cancelled")
            assert last["error"]["message"] == "Changed my mind."

    async def test_nothing_follows_the_results(self, room: Newsroom) -> None:
        async with room.socket() as client:
            key = await started(client)
            await room.record(key, CANCELLED, WorkflowResumed(run=2))
            assert [kind for kind, _ in told(await client.hear_all())] == ["results"]

    async def test_history_that_cannot_be_read_is_told(self, room: Newsroom) -> None:
        async with room.socket() as client:
            key = await started(client)
            await room.record_unreadable(key)
            await room.record(new_key(), asked())  # others are not concerned
            (last,) = await client.hear_all()
            assert (last["type"], last["error"]["code"]) == ("error", "history-unreadable")
            assert await client.closed() == 1013


class TestTheClient:
    async def test_client_that_goes_leaves_the_workflow(self, room: Newsroom) -> None:
        async with room.socket() as client:
            key = await started(client)
        await room.record(key, claimed(Work.BLOG), COMPLETED)
        assert [one.event.type for one in (await room.history(key)).recorded] == [
            "workflow-requested",
            "work-claimed",
            "workflow-completed",
        ]

    @pytest.mark.parametrize("chatter", ["hello", b"\x00", '{"type": "ping"}'])
    async def test_what_it_says_later_changes_nothing(self, room: Newsroom, chatter: str | bytes) -> None:
        async with room.socket() as client:
            key = await started(client)
            await client.say(chatter)
            await room.record(key, COMPLETED)
            assert told(await client.hear_all()) == [("results", key.workflow_id)]

    async def test_same_request_again_hears_all_from_the_start(self, room: Newsroom) -> None:
        request = {"topic": "bees", "client_request_id": "again"}
        key = await room.requested(client_request_id="again")
        await room.record(key, claimed(Work.BLOG), COMPLETED)
        async with room.socket() as client:
            await client.say(request)
            assert [payload for _, payload in told(await client.hear_all())] == [START, BLOG, key.workflow_id]

    async def test_socket_without_a_place_is_told_so(self, plant: Plant) -> None:
        async with newsroom(plant, sockets_max=1) as room, room.socket() as first:
            await started(first)
            async with room.socket() as client:
                (frame,) = await client.hear_all()
                assert (frame["type"], frame["error"]["code"]) == ("error", "too-many-sockets")
                assert await client.closed() == 4429

    async def test_place_is_free_again_when_a_client_goes(self, plant: Plant) -> None:
        async with newsroom(plant, sockets_max=1) as room:
            for _ in range(3):
                async with room.socket() as client:
                    key = await started(client)
                    await room.record(key, COMPLETED)
                    await client.hear_all()
