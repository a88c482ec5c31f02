"""`GET /workflows/{id}/events`: all that has happened in a workflow, in order, from the log itself."""

import httpx2
import pytest

from contracts.events import Failure, WorkflowFailed
from contracts.works import Work
from tests.services.gateway.newsroom import COMPLETED, Newsroom, claimed, new_key

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def events(room: Newsroom, workflow_id: str, query: str = "?format=json") -> httpx2.Response:
    return await room.http.get(f"/workflows/{workflow_id}/events{query}")


class TestEvents:
    async def test_events_come_in_order_of_revision(self, room: Newsroom) -> None:
        key = await room.requested()
        await room.record(key, claimed(Work.BLOG), claimed(Work.ILLUSTRATION), COMPLETED)
        answer = (await events(room, key.workflow_id)).json()
        assert answer["workflow_id"] == key.workflow_id
        assert [(event["revision"], event["event"]) for event in answer["events"]] == [
            (1, "workflow-requested"),
            (2, "work-claimed"),
            (3, "work-claimed"),
            (4, "workflow-completed"),
        ]

    async def test_positions_rise_and_ids_differ(self, room: Newsroom) -> None:
        key = await room.requested()
        await room.record(key, claimed(Work.BLOG), COMPLETED)
        told = (await events(room, key.workflow_id)).json()["events"]
        assert sorted({event["position"] for event in told}) == [event["position"] for event in told]
        assert len({event["id"] for event in told}) == 3

    async def test_event_tells_its_work_attempt_and_data(self, room: Newsroom) -> None:
        key = await room.requested()
        await room.record(key, claimed(Work.BLOG, 2))
        event = (await events(room, key.workflow_id)).json()["events"][1]
        assert (event["work"], event["attempt"], event["data"]["worker"]) == ("blog", 2, "test")

    async def test_failure_is_told_with_code_and_sentence(self, room: Newsroom) -> None:
        key = await room.requested()
        error = Failure(code="key-refused", message="The key is refused.", retryable=True)
        await room.record(key, WorkflowFailed(run=1, work=Work.BLOG, attempt=1, error=error))
        event = (await events(room, key.workflow_id)).json()["events"][-1]
        assert event["error"] == error.model_dump()

    async def test_json_is_the_format_when_none_is_named(self, room: Newsroom) -> None:
        key = await room.requested()
        assert (await events(room, key.workflow_id, "")).status_code == 200


class TestUnreadable:
    async def test_event_that_cannot_be_read_is_told_by_its_position(self, room: Newsroom) -> None:
        key = await room.requested()
        position = (await room.history(key)).position
        await room.record_unreadable(key)
        answer = await events(room, key.workflow_id)
        assert (answer.status_code, answer.json()["code"]) == (502, "history-unreadable")
        assert f"at position {position + 1}: " in answer.json()["detail"]


class TestRefused:
    async def test_unknown_workflow_is_404(self, room: Newsroom) -> None:
        answer = await events(room, new_key().workflow_id)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown-workflow")

    @pytest.mark.parametrize(
        "workflow_id",
        [
            "*",
            "%3E",
            "a.b",
            "..",
            "a%2Fb",
            "%00",
            "%F0%9F%90%9D",
            "%FF",
            "x" * 65,
            "x" * 201,
            "x" * 10_000,
            "%20",
            "a*",
        ],
        ids=lambda workflow_id: workflow_id[:20],
    )
    async def test_strange_id_is_never_more_than_a_problem(self, room: Newsroom, workflow_id: str) -> None:
        answer = await events(room, workflow_id)
        assert answer.status_code in (404, 422)
        assert answer.headers["content-type"] == "application/problem+json"

    async def test_unknown_parameter_is_named(self, room: Newsroom) -> None:
        answer = await events(room, new_key().workflow_id, "?formt=json")
        assert (answer.status_code, answer.json()["detail"]) == (422, "formt: there is no such parameter here")

    @pytest.mark.parametrize("query", ["?format=xml", "?format=", "?format=JSON"])
    async def test_other_format_is_422(self, room: Newsroom, query: str) -> None:
        answer = await events(room, new_key().workflow_id, query)
        assert (answer.status_code, answer.json()["code"]) == (422, "bad-request")
