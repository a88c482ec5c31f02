"""Cancel and resume over HTTP: recorded once, safe to repeat and to race, refused with a reason."""

import asyncio
from typing import Any

import pytest

from chassis.event_store import History, OutcomeUnknown
from chassis.memory_store import MemoryLog, MemoryStore
from contracts.envelope import Recorded
from contracts.events import Event, Failure, WorkflowCompleted, WorkflowFailed, WorkflowResumed
from contracts.services import GATEWAY, ILLUSTRATOR
from contracts.subjects import WorkflowKey
from contracts.works import Work
from services.gateway.desk import OWNER, Desk
from tests.services.gateway.newsroom import CANCELLED, COMPLETED, Newsroom, asked, claimed, new_key
from tests.services.gateway.records import blog_written

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAILED = WorkflowFailed(
    run=1, work=Work.BLOG, attempt=1, error=Failure(code="quota-used-up", message="Top it up.", retryable=True)
)


async def workflow(room: Newsroom, *events: Event) -> WorkflowKey:
    key = new_key()
    await room.record(key, asked(), *events)
    return key


async def types(room: Newsroom, key: WorkflowKey) -> list[str]:
    return [recorded.event.type for recorded in (await room.history(key)).recorded]


class TestCancel:
    async def test_open_run_is_cancelled_with_its_reason(self, room: Newsroom) -> None:
        key = await workflow(room)
        answer = await room.http.post(f"/workflows/{key.workflow_id}/cancel", json={"reason": "I changed my mind."})
        history = await room.history(key)
        assert answer.status_code == 202
        assert answer.json() == {"workflow_id": key.workflow_id, "revision": 2, "position": history.position}
        assert answer.headers["location"] == f"/workflows/{key.workflow_id}?min_position={history.position}"
        assert history.recorded[-1].event.model_dump()["reason"] == "I changed my mind."

    @pytest.mark.parametrize("body", [None, {}, {"reason": None}])
    async def test_reason_may_be_left_out(self, room: Newsroom, body: object) -> None:
        key = await workflow(room)
        more: dict[str, Any] = {} if body is None else {"json": body}
        assert (await room.http.post(f"/workflows/{key.workflow_id}/cancel", **more)).status_code == 202

    async def test_again_is_the_same_answer(self, room: Newsroom) -> None:
        key = await workflow(room)
        answers = [(await room.http.post(f"/workflows/{key.workflow_id}/cancel")).json() for _ in range(3)]
        assert answers == [answers[0]] * 3
        assert await types(room, key) == ["workflow-requested", "workflow-cancelled"]

    async def test_ten_at_once_record_one(self, room: Newsroom) -> None:
        key = await workflow(room)
        answers = await asyncio.gather(*(room.http.post(f"/workflows/{key.workflow_id}/cancel") for _ in range(10)))
        assert {answer.status_code for answer in answers} == {202}
        assert await types(room, key) == ["workflow-requested", "workflow-cancelled"]

    @pytest.mark.parametrize("end", [COMPLETED, FAILED], ids=lambda end: end.type)
    async def test_closed_run_is_409(self, room: Newsroom, end: Event) -> None:
        key = await workflow(room, end)
        answer = await room.http.post(f"/workflows/{key.workflow_id}/cancel")
        assert (answer.status_code, answer.json()["code"]) == (409, "already-closed")
        assert len(await types(room, key)) == 2


class TestResume:
    @pytest.mark.parametrize("end", [CANCELLED, FAILED], ids=lambda end: end.type)
    async def test_next_run_is_opened(self, room: Newsroom, end: Event) -> None:
        key = await workflow(room, end)
        answer = await room.http.post(f"/workflows/{key.workflow_id}/resume", json={"reason": "Topped up."})
        assert (answer.status_code, answer.json()["revision"]) == (202, 3)
        state = (await room.history(key)).state
        assert (state.phase, state.run) == ("open", 2)

    async def test_ten_at_once_open_one_run(self, room: Newsroom) -> None:
        key = await workflow(room, FAILED)
        await asyncio.gather(*(room.http.post(f"/workflows/{key.workflow_id}/resume") for _ in range(10)))
        assert (await room.history(key)).state.run == 2

    async def test_open_run_is_left_as_it_is(self, room: Newsroom) -> None:
        key = await workflow(room, claimed(Work.BLOG))
        answer = await room.http.post(f"/workflows/{key.workflow_id}/resume")
        assert (answer.status_code, answer.json()["revision"]) == (202, 1)  # the request opened it
        assert len(await types(room, key)) == 2

    async def test_completed_workflow_is_409(self, room: Newsroom) -> None:
        key = await workflow(room, COMPLETED)
        answer = await room.http.post(f"/workflows/{key.workflow_id}/resume")
        assert (answer.status_code, answer.json()["code"]) == (409, "already-closed")


@pytest.mark.parametrize("command", ["cancel", "resume"])
class TestEither:
    @pytest.mark.parametrize("workflow_id", ["nothing", "a.b", "%00", "x" * 65])
    async def test_unknown_workflow_is_404(self, room: Newsroom, command: str, workflow_id: str) -> None:
        answer = await room.http.post(f"/workflows/{workflow_id}/{command}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown-workflow")

    async def test_body_without_its_type_is_told_what_it_lacks(self, room: Newsroom, command: str) -> None:
        key = await workflow(room)
        form = {"Content-Type": "application/x-www-form-urlencoded"}  # as curl sends it
        answer = await room.http.post(
            f"/workflows/{key.workflow_id}/{command}", content=b'{"reason": "x"}', headers=form
        )
        assert (answer.status_code, "Content-Type" in answer.json()["detail"]) == (422, True)

    @pytest.mark.parametrize("body", [{"reason": 7}, {"reason": ""}, {"reason": "x" * 501}, {"why": "so"}, [], "no"])
    async def test_bad_body_is_422_and_records_nothing(self, room: Newsroom, command: str, body: object) -> None:
        key = await workflow(room)
        answer = await room.http.post(f"/workflows/{key.workflow_id}/{command}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "bad-request")
        assert len(await types(room, key)) == 1


class TestIdempotencyKey:
    async def test_is_the_request_id(self, room: Newsroom) -> None:
        headers = {"Idempotency-Key": '"a key, in quotes"'}
        first, again = [await room.post({"topic": "bees"}, headers=headers) for _ in range(2)]
        assert first.json() == again.json()
        other = await room.requested(client_request_id='"a key, in quotes"')
        assert other.workflow_id == first.json()["workflow_id"]

    async def test_other_body_under_the_same_key_is_409(self, room: Newsroom) -> None:
        await room.post({"topic": "bees"}, headers={"Idempotency-Key": "taken"})
        answer = await room.post({"topic": "trees"}, headers={"Idempotency-Key": "taken"})
        assert answer.status_code == 409

    async def test_two_different_ids_are_409(self, room: Newsroom) -> None:
        answer = await room.post({"topic": "bees", "client_request_id": "a"}, headers={"Idempotency-Key": "b"})
        assert answer.status_code == 409 and "Idempotency-Key" in answer.json()["detail"]

    @pytest.mark.parametrize("key", ["", "x" * 201, "é"])
    async def test_key_that_is_none_is_422(self, room: Newsroom, key: str) -> None:
        answer = await room.post({"topic": "bees"}, headers={"Idempotency-Key": key.encode("latin-1")})
        assert answer.status_code == 422


class Overtaken(MemoryStore):
    """A log that stores, loses its reply, and by the next read has more behind it."""

    def __init__(self, *behind: Event) -> None:
        self.log, self.behind = MemoryLog(), behind
        super().__init__(self.log, GATEWAY)

    async def append(self, history: History, event: Event, *, id: str, cause: str | None = None) -> Recorded[Event]:
        await super().append(history, event, id=id, cause=cause)
        for number, later in enumerate(self.behind):
            self.log.append(ILLUSTRATOR, self.log.histories(history.key)[-1], later, id=f"later-{number}")
        raise OutcomeUnknown


class TestLostReplies:
    async def test_resume_that_was_stored_is_found_although_the_run_has_ended_since(self) -> None:
        store = Overtaken(blog_written(), WorkflowCompleted(run=2))
        key = WorkflowKey(OWNER, "w")
        store.log.append(GATEWAY, History(key), asked(), id="1")
        store.log.append(ILLUSTRATOR, store.log.histories(key)[-1], FAILED, id="2")
        stands = await Desk(store, researches=True).resume("w", None)
        assert isinstance(stands.event, WorkflowResumed) and stands.revision == 3
