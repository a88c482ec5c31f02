"""When the model fails: the log says what and why, the old client hears it, and nothing is paid for in vain."""

import asyncio
from typing import Any

import pytest

from tests.system.system import System
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


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

    async def hangs() -> bool:
        return any(call.outcome == "hung" for call in await system.standin.calls())

    await until(hangs, "the picture's call hangs")
    others = await asyncio.gather(*(system.request(f"Tea number {number}") for number in range(20)))
    closed = await system.until_closed(others)
    assert {events[-1]["event"] for events in closed.values()} == {"workflow-completed"}
    (call,) = [call for call in await system.standin.calls() if call.outcome == "hung"]
    assert call.ended_at is None  # through all of it, and in its first attempt
    assert [one["event"] for one in await system.events(hanging)].count("attempt-failed") == 0
    await system.http.post(f"/workflows/{hanging}/cancel")


async def test_as_many_hanging_pictures_as_there_are_slots_hold_up_no_text(system: System) -> None:
    await system.standin.rule(when={"kind": "image", "topic_contains": "hangs"}, do={"hang": True})
    hanging = await asyncio.gather(*(system.request(f"Picture {number} that hangs") for number in range(16)))

    async def all_hang() -> bool:
        return sum(call.outcome == "hung" for call in await system.standin.calls()) == len(hanging)

    await until(all_hang, "every slot of the illustrator is taken")
    other = await system.request("Tea", platforms=["linkedin", "x"])
    for platform in ("linkedin", "x"):
        await system.until_event(other, "social-post-written", platform=platform)
    await system.http.post(f"/workflows/{hanging[0]}/cancel")  # one slot is free again
    await system.until_event(other, "workflow-completed")
    for workflow_id in hanging[1:]:
        await system.http.post(f"/workflows/{workflow_id}/cancel")
