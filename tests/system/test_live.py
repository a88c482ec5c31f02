"""The whole system live: over the websocket's full dialect, with cancel and resume, across a killed gateway."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from local.servers import temporary_folder
from tests.system.system import TERMINAL, System
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

WISHES: dict[str, Any] = {"research": True, "platforms": ["linkedin", "x"]}
Frame = dict[str, Any]


@asynccontextmanager
async def socket(system: System, first: Frame) -> AsyncGenerator[ClientConnection]:
    async with websockets.connect(f"{system.address.replace('http', 'ws')}/content", proxy=None) as socket:
        await socket.send(json.dumps(first))
        yield socket


async def hear(socket: ClientConnection, enough: Callable[[Frame], bool]) -> list[Frame]:
    """Every frame up to the first that is enough."""
    frames: list[Frame] = []
    async with asyncio.timeout(120):
        while not frames or not enough(frames[-1]):
            frames.append(json.loads(await socket.recv()))
    return frames


def is_end(frame: Frame) -> bool:
    return frame.get("event") in TERMINAL


def is_revision(revision: int) -> Callable[[Frame], bool]:
    return lambda frame: frame["type"] == "event" and frame["revision"] >= revision


def events(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame["type"] == "event"]


def revisions(frames: list[Frame]) -> list[int]:
    return [frame["revision"] for frame in events(frames)]


async def post(system: System, workflow_id: str, command: str) -> int:
    return (await system.http.post(f"/workflows/{workflow_id}/{command}")).status_code


async def paid(system: System, topic: str) -> Counter[str]:
    """How often each kind of call was made about this topic."""
    return Counter(f"{call.kind}:{call.platform}" for call in await system.standin.calls() if topic in call.topic)


async def test_texts_are_shown_while_they_are_written(system: System) -> None:
    await system.standin.latency(1)
    async with socket(system, {"type": "start", "topic": "Tea, live", **WISHES}) as watching:
        frames = await hear(watching, is_end)
    await system.standin.latency(0)
    assert revisions(frames) == list(range(1, len(events(frames)) + 1))
    texts: dict[str, str] = {}
    for frame in frames:
        if frame["type"] == "delta":
            texts[frame["work"]] = texts.get(frame["work"], "")[: frame["offset"]] + frame["payload"]
            assert len(texts[frame["work"]]) == frame["offset"] + len(frame["payload"])
    assert {"research", "blog", "social:linkedin", "social:x"} <= texts.keys()
    (blog,) = [frame["data"]["markdown"] for frame in events(frames) if frame["event"] == "blog-written"]
    assert blog.startswith(texts["blog"][:50]) and len(texts["blog"]) > 200


async def test_killed_gateway_costs_no_revision_and_no_device_sees_another_story() -> None:
    with temporary_folder() as folder:
        async with System(folder / "data", environment={"PRESSROOM_STANDIN_LATENCY_S": "0.6"}) as system:
            told: list[Frame] = []
            async with socket(system, {"type": "start", "topic": "Tea", **WISHES}) as first:
                told += events(await hear(first, is_revision(3)))
                workflow_id = told[0]["workflow_id"]
                await system.kill_and_see_it_back("gateway-1")
                with suppress(ConnectionClosed):
                    while True:  # what was on its way
                        told += events([json.loads(await first.recv())])

            async def attached() -> list[Frame] | None:
                """A client that attaches behind its last revision as soon as somebody is there."""
                with suppress(OSError, ConnectionClosed):
                    attach = {"type": "attach", "workflow_id": workflow_id, "after_revision": told[-1]["revision"]}
                    async with socket(system, attach) as again:
                        return events(await hear(again, is_end))
                return None

            told += await until(attached, "the gateway serves again")
            async with socket(system, {"type": "attach", "workflow_id": workflow_id}) as second:
                other = events(await hear(second, is_end))
            assert revisions(told) == list(range(1, len(told) + 1))
            assert told == other
            assert told[-1]["event"] == "workflow-completed"


async def test_cancel_stops_the_running_model_call(system: System) -> None:
    topic = "Tea that is called off"
    await system.standin.rule(when={"topic_contains": topic, "kind": "blog"}, do={"hang": True})
    async with socket(system, {"type": "start", "topic": topic}) as client:
        await hear(client, lambda frame: frame.get("work") == "blog")
        await system.standin.calls_until(lambda calls: any(topic in call.topic for call in calls))
        await client.send(json.dumps({"type": "cancel", "reason": "Enough."}))
        frames = await hear(client, lambda frame: frame["type"] == "accepted")
    calls = await system.standin.calls_until(lambda calls: all(call.ended_at for call in calls))
    assert [call.kind for call in calls if topic in call.topic] == ["blog"]
    workflow_id = frames[-1]["workflow_id"]
    assert [one["event"] for one in await system.events(workflow_id)][-1] == "workflow-cancelled"


async def test_resume_pays_only_for_what_is_missing(system: System) -> None:
    topic = "Tea after the quota"
    broke = {"status": 429, "code": "insufficient_quota"}
    await system.standin.rule(when={"topic_contains": topic, "kind": "image"}, do=broke, times=1)
    workflow_id = await system.request(topic, **WISHES)
    failed = await system.until_event(workflow_id, "workflow-failed")
    assert failed["error"]["code"] == "quota-used-up"
    await system.until_settled(topic, [workflow_id])
    assert [await post(system, workflow_id, "resume") for _ in range(2)] == [202, 202]
    await system.until_event(workflow_id, "workflow-completed")
    once = ("research:None", "blog:None", "social:LinkedIn", "social:X", "scene:None")
    assert await paid(system, topic) == Counter({"image:None": 2, **dict.fromkeys(once, 1)})


async def test_cancelled_workflow_is_resumed_where_it_stood(system: System) -> None:
    topic = "Tea, called off and resumed"
    await system.standin.rule(when={"topic_contains": topic, "kind": "blog"}, do={"hang": True}, times=1)
    workflow_id = await system.request(topic, **WISHES)
    await system.standin.calls_until(lambda calls: any(call.kind == "blog" for call in calls))  # which now hangs
    assert [await post(system, workflow_id, "cancel") for _ in range(2)] == [202, 202]
    assert await post(system, workflow_id, "resume") == 202
    await system.until_event(workflow_id, "workflow-completed", run=2)
    assert (await paid(system, topic))["research:None"] == 1


async def test_cancel_that_races_with_completion_leaves_one_end(system: System) -> None:
    ids = [await system.request(f"Tea in a race {number}") for number in range(10)]
    answers: list[int] = []
    for number, workflow_id in enumerate(ids):
        if number % 2:
            await system.until_event(workflow_id, "blog-written")
        answers.append(await post(system, workflow_id, "cancel"))
    assert set(answers) <= {202, 409}
    for told in (await system.until_closed(ids)).values():
        assert len([one for one in told if one["event"] in TERMINAL]) == 1


async def test_gateway_that_is_told_to_stop_ends_its_streams(system: System) -> None:
    topic = "Tea, and a gateway that stops"
    await system.standin.rule(when={"topic_contains": topic}, do={"hang": True})
    workflow_id = await system.request(topic)
    async with system.http.stream("GET", f"/workflows/{workflow_id}/events?format=sse") as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        stopping = asyncio.create_task(system.stop_and_see_it_back("gateway-1"))
        async for _ in lines:  # one that breaks off raises
            pass
    await stopping

    async def is_served() -> bool:
        return bool(await system.events(workflow_id))

    await until(is_served, "the next gateway serves")
    assert await post(system, workflow_id, "cancel") == 202
