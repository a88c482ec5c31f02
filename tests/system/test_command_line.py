"""The command line against the whole system, as its users run it: what it prints, how it ends, whatever is killed."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from local.servers import temporary_folder
from tests.system.system import ROOT, System

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEA = ("create", "The history of tea", "--research", "--platform", "linkedin", "--platform", "bluesky")


@asynccontextmanager
async def command(system: System, *words: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", *words, "--url", system.address), cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run(system: System, *words: str) -> tuple[int | None, str, str]:
    """-> exit code, what was printed, and what was said on standard error"""
    async with command(system, *words) as process, asyncio.timeout(120):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def newest(system: System) -> str:
    """The id of the workflow that was asked for last."""
    code, out, _ = await run(system, "list", "--limit", "1")
    assert code == 0
    return out.partition("\t")[0]


async def test_create_ends_with_all_that_was_made(system: System) -> None:
    code, out, _ = await run(system, *TEA, "--tone", "playful")
    assert code == 0, out
    for wanted in ("Everything is there", "# ", "LinkedIn", "Bluesky", "Sources found", "/images/", "cost: $0.0000"):
        assert wanted in out


async def test_show_tells_the_same_in_its_forms(system: System) -> None:
    await run(system, *TEA)
    workflow_id = await newest(system)
    _, whole, _ = await run(system, "show", workflow_id)
    _, markdown, _ = await run(system, "show", workflow_id, "--markdown")
    _, told, _ = await run(system, "show", workflow_id, "--json")
    read = json.loads(told)
    assert read["status"] == "completed" and read["workflow_id"] == workflow_id
    assert markdown.strip() == read["blog_posts"][0]["markdown"].strip()
    assert read["title"] in whole


async def test_status_says_that_all_is_well(system: System) -> None:
    code, out, err = await run(system, "status", "--json")
    assert (code, json.loads(out)["trouble"]) == (0, []), err


async def test_failed_workflow_is_mended_and_resumed(system: System) -> None:
    broke = {"status": 429, "code": "insufficient_quota"}
    await system.standin.rule(when={"kind": "image", "topic_contains": "tea"}, do=broke, times=1)
    code, out, _ = await run(system, *TEA)
    assert code == 1 and "Top it up, then resume the workflow." in out
    code, out, _ = await run(system, "resume", await newest(system), "--watch")
    assert code == 0 and "/images/" in out


async def test_parked_workflows_are_told_and_redriven_and_only_what_is_missing_is_paid_for(system: System) -> None:
    broke = {"status": 429, "code": "insufficient_quota"}
    await system.standin.rule(when={"kind": "image", "topic_contains": "parked"}, do=broke, times=2)
    wanted = [await system.request(f"A parked topic, {name}") for name in ("one", "two")]
    positions = [events[-1]["position"] for events in (await system.until_closed(wanted)).values()]
    assert (await system.http.get("/parked", params={"min_position": max(positions)})).status_code == 200
    code, out, _ = await run(system, "parked", "--kind", "failed")
    told = {line.split("\t")[0]: line for line in out.splitlines()}
    assert code == 0 and set(wanted) <= set(told)
    assert all("Top it up, then resume the workflow." in told[one] for one in wanted)
    await system.until_settled("parked", wanted)

    code, out, err = await run(system, "redrive", "--all")
    assert code == 0, err
    assert all(f"{one} goes on" in out for one in wanted)
    closed = await system.until_closed(wanted)
    assert {events[-1]["event"] for events in closed.values()} == {"workflow-completed"}
    paid = Counter(call.kind for call in await system.standin.calls() if "parked" in call.topic)
    assert paid == Counter(blog=2, social=2, scene=2, image=4)  # two workflows; the scene of a picture is kept
    positions = [events[-1]["position"] for events in closed.values()]
    left = (await system.http.get("/parked", params={"min_position": max(positions)})).json()["items"]
    assert not set(wanted) & {one["workflow_id"] for one in left}


async def test_cancelled_workflow_ends_who_watches(system: System) -> None:
    await system.standin.rule(when={"kind": "blog", "topic_contains": "tea"}, do={"hang": True}, times=1)
    async with command(system, *TEA) as watching:
        assert watching.stdout
        while b"Writing the blog post" not in (line := await watching.stdout.readline()):
            assert line
        code, _, _ = await run(system, "cancel", await newest(system), "--reason", "Enough.")
        assert code == 0
        out = (await watching.stdout.read()).decode()
        assert await watching.wait() == 1
    assert "Enough." in out


async def test_killed_gateway_costs_the_watcher_nothing() -> None:
    with temporary_folder() as folder:
        async with System(folder / "data", environment={"PRESSROOM_STANDIN_LATENCY_S": "0.6"}) as system:
            async with command(system, *TEA) as watching:
                assert watching.stdout
                told = b""
                while b"Writing the blog post" not in told:
                    told += await watching.stdout.readline()
                await system.kill_and_see_it_back("gateway-1")
                told += await watching.stdout.read()
                assert await watching.wait() == 0
            workflow_id = await newest(system)
            code, again, _ = await run(system, "watch", workflow_id)
            assert code == 0
            assert events(told.decode()) == events(again)


def events(out: str) -> list[str]:
    """The lines of events, without their times and the id that only `create` tells."""
    lines = out.partition("\n\n")[0].splitlines()
    return [line.partition("  ")[2].partition(" (workflow ")[0] for line in lines]
