"""When the model fails: the log says what and why, the old client hears it, and nothing is paid for in vain."""

import asyncio
from typing import Any

import pytest

from tests.system.system import System

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("system")]


async def fails(system: System, topic: str, **do: Any) -> dict[str, Any]:
    """Has every call about this topic fail so. -> the last frame that an old client hears"""
    await system.standin.rule(when={"topic_contains": topic}, do=do)
    frames, code = await system.watch({"topic": topic, "research": False})
    assert code == 1000
    return frames[-1]


async def calls(system: System, topic: str) -> int:
    return len([call for call in await system.standin.calls() if topic in call.topic])


@pytest.mark.parametrize(
    ("topic", "do", "code"),
    [
        ("a wrong key", {"status": 401, "code": "invalid_api_key"}, "key-refused"),
        ("a used up quota", {"status": 429, "code": "insufficient_quota"}, "quota-used-up"),
        ("an unknown model", {"status": 404, "code": "model_not_found"}, "request-refused"),
        ("a refusal", {"refuse": True}, "content-refused"),
        ("a content filter", {"content_filter": True}, "content-refused"),
    ],
)
async def test_what_no_retry_mends_costs_one_call(system: System, topic: str, do: dict[str, Any], code: str) -> None:
    told = await fails(system, topic, **do)
    assert (told["type"], told["payload"], told["event"]) == ("results", "Failed", "workflow-failed")
    assert (told["work"], told["error"]["code"]) == ("blog", code)
    assert told["error"]["message"].endswith((".", "?"))
    assert await calls(system, topic) == 1


@pytest.mark.parametrize(
    ("topic", "do"),
    [
        ("a busy model", {"status": 429, "code": "rate_limit_exceeded", "retry_after": 1}),
        ("a broken model", {"status": 500}),
        ("a connection that breaks", {"reset": True}),
        ("a stream that is cut", {"cut": True}),
        ("an empty answer", {"empty": True}),
        ("no JSON at all", {"malformed": True}),
    ],
)
async def test_what_passes_is_tried_again_and_told(system: System, topic: str, do: dict[str, Any]) -> None:
    await system.standin.rule(when={"topic_contains": topic, "kind": "blog"}, do=do, times=1)
    workflow_id = await system.request(topic)
    events = (await system.until_closed([workflow_id]))[workflow_id]
    (failed,) = [one["data"] for one in events if one["event"] == "attempt-failed"]
    assert (failed["work"], failed["attempt"], failed["error"]["retryable"]) == ("blog", 1, True)
    assert failed["retry_at"]
    assert events[-1]["event"] == "workflow-completed"


async def test_a_model_that_stays_away_ends_the_workflow_with_a_reason(system: System) -> None:
    topic = "a model that cannot be reached"
    told = await fails(system, topic, reset=True)
    assert (told["payload"], told["error"]["code"]) == ("Failed", "attempts-used-up")
    assert "reached" in told["error"]["message"] or "broke off" in told["error"]["message"]
    assert await calls(system, topic) == 5


async def test_a_hanging_picture_holds_up_nobody_else(system: System) -> None:
    await system.standin.rule(when={"kind": "image", "topic_contains": "hangs"}, do={"hang": True})
    hanging = await system.request("A picture that hangs")
    await system.until_event(hanging, "work-claimed", work="illustration")
    others = await asyncio.gather(*(system.request(f"Tea number {number}") for number in range(5)))
    closed = await system.until_closed(others)
    assert {events[-1]["event"] for events in closed.values()} == {"workflow-completed"}
    assert (await system.events(hanging))[-1]["event"] != "workflow-completed"
