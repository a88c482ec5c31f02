"""`GET /workflows/{id}/events` as server-sent events: each event once, in order, continued from any revision."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from chassis.deltas import delta_streams
from contracts.events import BlogWritten, Failure, WorkflowFailed, WorkflowResumed
from contracts.services import WRITER
from contracts.subjects import WorkflowKey
from contracts.works import Work
from services.gateway import event_stream
from tests.services.gateway.newsroom import (
    CANCELLED,
    COMPLETED,
    PATIENCE_S,
    Newsroom,
    Plant,
    asked,
    claimed,
    new_key,
    newsroom,
)
from tests.services.gateway.records import blog_written
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SSE = {"Accept": "text/event-stream"}
FAILED = WorkflowFailed(
    run=1, work=Work.BLOG, attempt=1, error=Failure(code="quota-used-up", message="Top it up.", retryable=True)
)


class Reader:
    """Reads a stream message by message."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def message(self) -> dict[str, str] | None:
        """The next message's fields; a comment under `""`. None at the end."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            async for line in self._lines:
                if not line:
                    return fields
                name, _, value = line.partition(": ")
                fields[name.rstrip(":")] = value
        return None

    async def all(self) -> list[dict[str, str]]:
        messages: list[dict[str, str]] = []
        while (message := await self.message()) is not None:
            messages.append(message)
        return messages


@asynccontextmanager
async def stream(room: Newsroom, key: WorkflowKey, query: str = "", **headers: str) -> AsyncGenerator[Reader]:
    path = f"/workflows/{key.workflow_id}/events{query}"
    async with room.http.stream("GET", path, headers=SSE | headers) as answer:
        yield Reader(answer)


async def workflow(room: Newsroom, *events: Any) -> WorkflowKey:
    key = new_key()
    await room.record(key, asked(), *events)
    return key


def ids(messages: list[dict[str, str]]) -> list[int]:
    return [int(message["id"]) for message in messages]


async def test_events_come_as_they_are_recorded_until_the_run_ends(room: Newsroom) -> None:
    key = await workflow(room)
    async with stream(room, key) as reader:
        assert reader.answer.headers["content-type"].startswith("text/event-stream")
        first = await reader.message()
        assert first and (first["id"], first["event"]) == ("1", "workflow-requested")
        assert json.loads(first["data"])["payload"] == "Asked for: bees"
        await room.record(key, claimed(Work.BLOG), COMPLETED)
        assert [message["event"] for message in await reader.all()] == ["work-claimed", "workflow-completed"]


@pytest.mark.parametrize(("query", "header"), [("?after_revision=2", None), ("", "2"), ("?after_revision=1", "2")])
async def test_stream_is_continued_behind_a_revision(room: Newsroom, query: str, header: str | None) -> None:
    key = await workflow(room, claimed(Work.BLOG), claimed(Work.BLOG, 2), COMPLETED)
    async with stream(room, key, query, **({"Last-Event-ID": header} if header else {})) as reader:
        assert ids(await reader.all()) == [3, 4]


async def test_end_of_an_earlier_run_is_not_the_end(room: Newsroom) -> None:
    key = await workflow(room, FAILED, WorkflowResumed(run=2), CANCELLED)
    async with stream(room, key) as reader:
        assert ids(await reader.all()) == [1, 2, 3, 4]


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_result_behind_the_end_is_told_and_ends_the_stream(room: Newsroom, after: int) -> None:
    key = await workflow(room, CANCELLED, blog_written())
    async with stream(room, key, f"?after_revision={after}") as reader:
        assert ids(await reader.all()) == list(range(after + 1, 4))


async def test_nothing_more_to_come_is_204(room: Newsroom) -> None:
    key = await workflow(room, COMPLETED)
    async with stream(room, key, **{"Last-Event-ID": "2"}) as reader:
        assert reader.answer.status_code == 204


async def test_texts_come_between_the_events(room: Newsroom) -> None:
    key = await workflow(room, claimed(Work.BLOG))
    async with stream(room, key) as reader:
        assert [await reader.message(), await reader.message()]
        await delta_streams(await room.connection(WRITER), WRITER)(key, claimed(Work.BLOG))("Once\nupon")
        delta = await reader.message()
        assert delta and "id" not in delta and delta["event"] == "delta"
        assert json.loads(delta["data"])["payload"] == "Once\nupon"


async def test_no_character_of_a_text_is_taken_for_the_end_of_a_line(room: Newsroom) -> None:
    key, text = await workflow(room), "\x85 \u2028 \u2029 \r \n \x0b \x0c \x1c"
    async with stream(room, key) as reader:
        await reader.message()
        await room.record(key, BlogWritten(run=1, attempt=1, title="On Bees", markdown=text))
        told = await reader.message()
    assert told and json.loads(told["data"])["data"]["markdown"] == text


async def test_silence_is_followed_by_a_comment(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0.1)
    key = await workflow(room)
    async with stream(room, key) as reader:
        await reader.message()
        assert await reader.message() == {"": "heartbeat"}


async def test_history_that_cannot_be_read_ends_the_stream_with_a_word(room: Newsroom) -> None:
    key = await workflow(room)
    async with stream(room, key) as reader:
        await reader.message()
        await room.record_unreadable(key)
        (last,) = await reader.all()
        assert (last["event"], json.loads(last["data"])["error"]["code"]) == ("error", "history-unreadable")


async def test_format_goes_before_what_is_accepted(room: Newsroom) -> None:
    key = await workflow(room, COMPLETED)
    async with stream(room, key, "?format=json") as reader:
        assert reader.answer.headers["content-type"] == "application/json"
    answer = await room.http.get(f"/workflows/{key.workflow_id}/events?format=sse")
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_json_is_continued_behind_a_revision_too(room: Newsroom) -> None:
    key = await workflow(room, claimed(Work.BLOG), COMPLETED)
    answer = await room.http.get(f"/workflows/{key.workflow_id}/events?after_revision=1")
    assert [event["revision"] for event in answer.json()["events"]] == [2, 3]


async def test_revision_that_the_log_does_not_have_is_409(room: Newsroom) -> None:
    key = await workflow(room)
    answer = await room.http.get(f"/workflows/{key.workflow_id}/events?after_revision=2")
    assert (answer.status_code, answer.json()["code"]) == (409, "revision-unknown")


@pytest.mark.parametrize("header", ["-1", "1.5", "abc", "9" * 16])
async def test_last_event_id_that_is_no_revision_is_422(room: Newsroom, header: str) -> None:
    key = await workflow(room)
    answer = await room.http.get(f"/workflows/{key.workflow_id}/events", headers={"Last-Event-ID": header})
    assert answer.status_code == 422 and "Last-Event-ID" in answer.json()["detail"]


async def test_gateway_that_stops_ends_its_streams(plant: Plant) -> None:
    async with newsroom(plant) as room:
        key = await workflow(room)
        async with stream(room, key) as reader:
            await reader.message()
            room.parts.places.closing.set()
            assert await reader.all() == []


async def test_stream_without_a_place_is_429(plant: Plant) -> None:
    async with newsroom(plant, sockets_max=0) as room:
        key = await workflow(room)
        answer = await room.http.get(f"/workflows/{key.workflow_id}/events", headers=SSE)
        assert (answer.status_code, answer.json()["code"]) == (429, "too-many-sockets")
        assert answer.headers["retry-after"]


async def test_client_that_goes_gives_its_place_back(plant: Plant) -> None:
    async with newsroom(plant, sockets_max=1) as room:
        key = await workflow(room)

        async def is_served() -> bool:
            async with stream(room, key) as reader:
                return reader.answer.status_code == 200

        assert await is_served()
        await until(is_served, "its place is free again", within_s=PATIENCE_S)
