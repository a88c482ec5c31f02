"""Processes killed at named moments and at random ones: nothing is lost, doubled, or paid for without need."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from local.servers import temporary_folder
from tests.simulation.rules import check_history
from tests.system.system import TERMINAL, Read, System, as_recorded
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORKFLOWS = 10
STAGES = ("research", "writer", "illustrator")
CALL_S = 0.6


def check_all(closed: dict[str, list[Read]]) -> None:
    """Every workflow is complete: one terminal event, one success a work, revisions without gap, a legal history."""
    for events in closed.values():
        check_history(as_recorded(events))
        assert [one["revision"] for one in events] == list(range(1, len(events) + 1))
        assert [one["event"] for one in events if one["event"] in TERMINAL] == ["workflow-completed"]
        made = Counter(one["data"].get("platform", one["event"]) for one in events if "edition" in one["data"])
        assert set(made.values()) == {1}
        assert len(made) == 5


async def start_all(system: System) -> list[str]:
    wishes = {"research": True, "platforms": ["linkedin", "x"]}
    return [await system.request(f"Topic number {number}", **wishes) for number in range(WORKFLOWS)]


async def test_each_stage_killed_three_times_loses_nothing() -> None:
    with temporary_folder() as folder:
        async with System(folder / "data", environment={"PRESSROOM_STANDIN_LATENCY_S": str(CALL_S)}) as system:
            ids = await start_all(system)

            async def a_call_runs(kind: str) -> bool:
                return any(call.kind == kind and call.ended_at is None for call in await system.standin.calls())

            async def a_call_was_answered(kind: str) -> bool:
                return any(call.kind == kind and call.ended_at is not None for call in await system.standin.calls())

            async def some_calls_later(enough: int) -> bool:
                calls = await system.standin.calls()
                return len(calls) >= enough or all(call.ended_at is not None for call in calls)

            # in the middle of a paid call
            for stage, kind in (("research", "research"), ("writer", "blog"), ("illustrator", "image")):
                await until(lambda kind=kind: a_call_runs(kind), f"a {kind} call runs")
                await system.kill_and_see_it_back(f"{stage}-1")
            # right after an answer came, before or after it was recorded
            for stage, kind in (("research", "research"), ("writer", "social"), ("illustrator", "scene")):
                await until(lambda kind=kind: a_call_was_answered(kind), f"a {kind} call was answered")
                await system.kill_and_see_it_back(f"{stage}-1")
            # at random: some calls after the last kill, or when there are no more to come
            for stage in random.sample(STAGES, len(STAGES)):
                enough = len(await system.standin.calls()) + random.randint(1, 10)
                await until(lambda enough=enough: some_calls_later(enough), "more calls were made")
                await system.kill_and_see_it_back(f"{stage}-1")

            closed = await system.until_closed(ids)
            check_all(closed)
            await check_paid(system, closed, kills=3)


async def check_paid(system: System, closed: dict[str, list[Read]], *, kills: int) -> None:
    """A work is paid for once, and once more at the most for each time its process was killed."""
    paid = Counter((call.kind, call.platform, call.topic) for call in await system.standin.calls())
    assert max(paid.values()) <= 1 + kills
    claims = sum(one["event"] == "work-claimed" for events in closed.values() for one in events)
    in_log = Counter(
        one["data"]["work"] for events in closed.values() for one in events if one["event"] == "work-claimed"
    )
    assert sum(count for (kind, *_), count in paid.items() if kind != "scene") <= claims, in_log


async def test_two_processes_of_every_stage_share_the_work_and_may_come_and_go() -> None:
    with temporary_folder() as folder:
        scale = ",".join(f"{stage}=2" for stage in STAGES)
        environment = {"PRESSROOM_STANDIN_LATENCY_S": str(CALL_S), "PRESSROOM_CONCURRENCY": "2"}
        async with System(folder / "data", "--scale", scale, environment=environment) as system:
            ids = await start_all(system)
            await system.until_event(ids[0], "work-claimed", work="blog")
            third = await asyncio.create_subprocess_exec(
                *system.one_more("writer"), stdout=-3, stderr=asyncio.subprocess.PIPE
            )
            assert third.stderr
            await until_said(third.stderr, "] ready")
            await system.stop_and_see_it_back("writer-1")  # drained, and started anew
            closed = await system.until_closed(ids)
            check_all(closed)
            third.terminate()
            assert await third.wait() == 0
            workers = {
                one["data"]["worker"] for events in closed.values() for one in events if one["event"] == "work-claimed"
            }
            for stage in STAGES:
                assert len([worker for worker in workers if worker.startswith(stage)]) >= 2, workers


async def until_said(words: asyncio.StreamReader, wanted: str) -> None:
    """Reads a process's log until a line has this in it; from then on it is at work."""
    async with asyncio.timeout(60):
        while wanted not in (line := (await words.readline()).decode()):
            assert line, f"it ended before it said {wanted!r}"


async def test_killed_servers_under_running_workflows_lose_nothing() -> None:
    with temporary_folder() as folder:
        async with System(folder / "data", environment={"PRESSROOM_STANDIN_LATENCY_S": str(CALL_S)}) as system:
            ids = await start_all(system)
            for server, milestone in (("nats", "research-completed"), ("s3", "blog-written"), ("nats", "blog-written")):
                await system.until_event(random.choice(ids), milestone)
                await system.kill_and_see_it_back(system.a_nats_server() if server == "nats" else server)
            check_all(await system.until_closed(ids))


async def test_a_killed_gateway_shows_every_revision_once_afterwards() -> None:
    with temporary_folder() as folder:
        async with System(folder / "data", environment={"PRESSROOM_STANDIN_LATENCY_S": str(CALL_S)}) as system:
            request: dict[str, Any] = {"topic": "Tea", "research": True, "client_request_id": "watched"}
            watching = asyncio.create_task(system.watch(request))
            workflow_id = await system.request(**request)
            await system.until_event(workflow_id, "work-claimed", work="blog")
            await system.kill_and_see_it_back("gateway-1")
            with pytest.raises(Exception):  # noqa: B017 - however a broken socket shows itself
                await watching

            async def serves() -> bool:
                return bool(await system.events(workflow_id))

            await until(serves, "the gateway serves again")
            frames, code = await system.watch(request)  # the same request id: the same workflow, from its beginning
            assert code == 1000
            assert frames[-1]["payload"] == workflow_id
            events = (await system.until_closed([workflow_id]))[workflow_id]
            assert [one["revision"] for one in events] == list(range(1, len(events) + 1))
            check_history(as_recorded(events))


async def test_what_was_half_done_when_all_was_killed_is_finished_by_the_next_start() -> None:
    with temporary_folder() as folder:
        system = System(folder / "data", environment={"PRESSROOM_STANDIN_LATENCY_S": str(CALL_S)})
        await system.start()
        ids = [
            await system.request(f"Topic {number}", research=True, platforms=["linkedin", "x"]) for number in range(5)
        ]
        await system.until_event(ids[0], "blog-written")
        await system.kill_everything()
        await system.start()
        try:
            check_all(await system.until_closed(ids))
        finally:
            assert await system.stop() == 0
