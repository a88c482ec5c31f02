"""`POST /workflows`: a request becomes one workflow, whatever comes twice; a bad one is a problem in words."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from contracts.platforms import Platform
from contracts.subjects import TOKEN, WorkflowKey
from services.gateway.desk import OWNER
from tests.services.gateway.newsroom import COMPLETED, Newsroom

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"content-type": "application/json"}


@pytest_asyncio.fixture(loop_scope="module")
async def quiet_room(room: Newsroom) -> AsyncGenerator[Newsroom]:
    """A gateway that has nothing to record while the test lasts."""
    length = await room.log_length()
    yield room
    assert await room.log_length() == length


def problem(answer: httpx2.Response) -> dict[str, Any]:
    """The problem that an answer tells of, once it has the form that RFC 9457 gives it."""
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert set(told) == {"type", "title", "status", "detail", "code"}
    assert told["status"] == answer.status_code
    return told


async def in_pieces(total: int) -> AsyncIterator[bytes]:
    """A body that does not say how long it is."""
    for _ in range(total // 1_000):
        yield b"x" * 1_000


class TestTakenIn:
    async def test_request_is_answered_202_with_an_id(self, room: Newsroom) -> None:
        answer = await room.post({"topic": "bees"})
        assert answer.status_code == 202 and set(answer.json()) == {"workflow_id", "position"}
        assert TOKEN.fullmatch(answer.json()["workflow_id"])

    async def test_position_is_that_of_the_request_in_the_log(self, room: Newsroom) -> None:
        told = (await room.post({"topic": "bees"})).json()
        history = await room.history(WorkflowKey(OWNER, told["workflow_id"]))
        assert told["position"] == history.recorded[0].position

    async def test_location_leads_to_where_the_workflow_is_read(self, room: Newsroom) -> None:
        answer = await room.post({"topic": "bees"})
        told = answer.json()
        assert answer.headers["location"] == f"/workflows/{told['workflow_id']}?min_position={told['position']}"

    async def test_everything_asked_for_is_recorded(self, room: Newsroom) -> None:
        key = await room.requested(topic=" bees ", research=True, platforms=["x", "facebook"], client_request_id="all")
        asked = (await room.history(key)).state.asked
        assert (asked.topic, asked.research, asked.platforms) == ("bees", True, ("x", "facebook"))
        assert asked.client_request_id == "all"

    async def test_brief_stands_in_the_log_as_it_was_said(self, room: Newsroom) -> None:
        told = {"tone": " dry ", "audience": "beekeepers", "language": "Français", "length": "short"}
        asked = (await room.history(await room.requested(brief=told))).state.asked
        assert asked.brief.model_dump() == told | {"tone": "dry"}

    async def test_every_platform_may_be_asked_for_at_once(self, room: Newsroom) -> None:
        key = await room.requested(platforms=list(Platform))
        assert (await room.history(key)).state.asked.platforms == tuple(Platform)

    async def test_linkedin_is_written_for_when_none_is_named(self, room: Newsroom) -> None:
        assert (await room.history(await room.requested())).state.asked.platforms == ("linkedin",)

    async def test_requests_without_an_id_are_workflows_of_their_own(self, room: Newsroom) -> None:
        assert await room.requested() != await room.requested()


ODD_IDS = ["an odd one", "../../etc/odd", "💥 odd", "workflow.odd.>", "*.odd.*", "odd " * 49 + "last", "\n odd \n"]
"""No other test's, not even by chance: the log is one for all."""


class TestTheSameIdAgain:
    async def test_five_at_once_are_one_workflow(self, room: Newsroom) -> None:
        request = {"topic": "bees", "client_request_id": "five"}
        length = await room.log_length()

        async def over_websocket() -> str:
            async with room.socket() as client:
                await client.say(request)
                return (await client.hear())["workflow_id"]

        async def over_http() -> str:
            return (await room.post(request)).json()["workflow_id"]

        ids = await asyncio.gather(over_http(), over_websocket(), over_http(), over_websocket(), over_http())
        assert len(set(ids)) == 1
        assert await room.log_length() == length + 1

    async def test_answer_is_the_same_again(self, room: Newsroom) -> None:
        request = {"topic": "bees", "client_request_id": "the-same-answer"}
        first = await room.post(request)
        await room.record(WorkflowKey(OWNER, first.json()["workflow_id"]), COMPLETED)
        again = await room.post(request)
        assert (again.json(), again.headers["location"]) == (first.json(), first.headers["location"])

    async def test_workflow_that_cannot_be_read_is_502(self, room: Newsroom) -> None:
        key = await room.requested(client_request_id="unreadable")
        await room.record_unreadable(key)
        answer = await room.post({"topic": "bees", "client_request_id": "unreadable"})
        assert (answer.status_code, problem(answer)["code"]) == (502, "history-unreadable")

    async def test_another_body_is_a_conflict(self, room: Newsroom) -> None:
        await room.requested(client_request_id="other-body")
        length = await room.log_length()
        answer = await room.post({"topic": "trees", "client_request_id": "other-body"})
        assert (answer.status_code, problem(answer)["code"]) == (409, "request-conflict")
        assert await room.log_length() == length

    @pytest.mark.parametrize("request_id", ODD_IDS)
    async def test_odd_ids_lead_to_proper_workflows(self, room: Newsroom, request_id: str) -> None:
        key = await room.requested(client_request_id=request_id)
        assert TOKEN.fullmatch(key.workflow_id)
        assert await room.requested(client_request_id=request_id) == key


class TestRefused:
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({}, "topic"),
            ({"topic": ""}, "topic"),
            ({"topic": "  "}, "topic"),
            ({"topic": None}, "topic"),
            ({"topic": 7}, "topic"),
            ({"topic": "x" * 2_001}, "topic"),
            ({"topic": "bees", "research": "false"}, "research"),
            ({"topic": "bees", "research": 1}, "research"),
            ({"topic": "bees", "platforms": ["myspace"]}, "platforms"),
            ({"topic": "bees", "platforms": []}, "platforms: It has to name a platform"),
            ({"topic": "bees", "platforms": ["x", "x"]}, "platforms: Each platform may be named once"),
            ({"topic": "bees", "colour": "gold"}, "colour: there is no such field here"),
            ({"topic": "bees", "brief": {"colour": "gold"}}, "brief: It has to be an object of tone, audience"),
            ({"topic": "bees", "brief": {"tone": "dry\nwry"}}, "brief.tone: It has to be one line"),
            ({"topic": "bees", "brief": {"length": "huge"}}, "brief.length: It has to be short, medium, long"),
            ({"topic": "bees", "brief": "dry"}, "brief: It has to be an object"),
            ({"topic": "bees", "type": "start"}, "type"),
            ({"topic": "bees", "client_request_id": "x" * 201}, "client_request_id"),
            (["bees"], "The request"),
            ("bees", "The request"),
            (None, "The request"),
        ],
        ids=lambda part: repr(part)[:40],
    )
    async def test_bad_request_is_422_and_names_the_field(self, quiet_room: Newsroom, body: object, words: str) -> None:
        answer = await quiet_room.post(body)
        assert answer.status_code == 422 and words in problem(answer)["detail"]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"bees",
            b'{"topic": "bees"',
            b'{"topic": "bees",}',
            b"NaN",
            b'{"topic": "\\ud83d"}',
            b'{"topic": "bees", "\\ud83d": 1}',
        ],
        ids=repr,
    )
    async def test_body_that_is_no_good_json_is_422(self, quiet_room: Newsroom, body: bytes) -> None:
        answer = await quiet_room.http.post("/workflows", content=body, headers=JSON)
        assert (answer.status_code, problem(answer)["code"]) == (422, "bad-request")

    @pytest.mark.parametrize(
        "body",
        [b'{"topic": "\xff"}', b"\xff\xfe\x00", b"[" * 60_000, b'{"topic": ' + b"1" * 5_000 + b"}"],
        ids=lambda body: repr(body)[:40],
    )
    async def test_body_that_nobody_can_read_is_a_problem(self, quiet_room: Newsroom, body: bytes) -> None:
        answer = await quiet_room.http.post("/workflows", content=body, headers=JSON)
        assert answer.status_code in (400, 422) and problem(answer)["code"] == "bad-request"

    async def test_problem_never_repeats_what_was_sent(self, quiet_room: Newsroom) -> None:
        answer = await quiet_room.post({"topic": "secret " * 400, "research": "secret"})
        assert "secret" not in answer.text


class TestSize:
    async def test_body_of_64_kib_is_read(self, room: Newsroom) -> None:
        body = b'{"topic": "bees"}'
        answer = await room.http.post("/workflows", content=body + b" " * (64 * 1024 - len(body)), headers=JSON)
        assert answer.status_code == 202

    async def test_larger_body_that_tells_its_size_is_413(self, quiet_room: Newsroom) -> None:
        answer = await quiet_room.http.post("/workflows", content=b"x" * (64 * 1024 + 1), headers=JSON)
        assert (answer.status_code, problem(answer)["detail"]) == (413, "The request is larger than 64 KiB.")

    async def test_larger_body_in_pieces_is_413(self, quiet_room: Newsroom) -> None:
        answer = await quiet_room.http.post("/workflows", content=in_pieces(70_000), headers=JSON)
        assert (answer.status_code, problem(answer)["detail"]) == (413, "The request is larger than 64 KiB.")

    async def test_body_of_a_read_is_not_looked_at(self, room: Newsroom) -> None:
        path = f"/workflows/{(await room.requested()).workflow_id}/events"
        assert (await room.http.request("GET", path, content=b"x" * (64 * 1024 + 1))).status_code == 200


class TestWhereNothingIs:
    @pytest.mark.parametrize("path", ["/nothing", "/workflows/a/b/c", "/pictures", "/health"])
    async def test_unknown_path_is_a_problem(self, room: Newsroom, path: str) -> None:
        answer = await room.http.get(path)
        assert (answer.status_code, problem(answer)["code"]) == (404, "not-found")
        assert "/docs" in problem(answer)["detail"]

    @pytest.mark.parametrize(("method", "path"), [("DELETE", "/workflows"), ("POST", "/images/x"), ("PUT", "/docs")])
    async def test_wrong_method_says_which_is_right(self, room: Newsroom, method: str, path: str) -> None:
        answer = await room.http.request(method, path)
        assert (answer.status_code, problem(answer)["code"]) == (405, "method-not-allowed")
        assert answer.headers["allow"] and answer.headers["allow"] in problem(answer)["detail"]

    @pytest.mark.parametrize(("path", "methods"), [("/workflows", "GET, POST"), ("/images/x", "GET")])
    async def test_every_right_method_is_named(self, room: Newsroom, path: str, methods: str) -> None:
        assert (await room.http.delete(path)).headers["allow"] == methods


async def test_unexpected_failure_is_a_problem_without_its_cause(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> WorkflowKey:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(room.parts.desk, "start", fail)
    transport = httpx2.ASGITransport(room.app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://pressroom") as http:
        answer = await http.post("/workflows", json={"topic": "bees"})
    assert (answer.status_code, problem(answer)["code"]) == (500, "unexpected")
    assert "swordfish" not in answer.text


async def test_workflow_belongs_to_the_only_owner(room: Newsroom) -> None:
    assert (await room.requested()).owner == OWNER
