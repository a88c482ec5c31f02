"""The read side of the whole system: tables that equal the log, whatever is killed, paused or rebuilt meanwhile."""

import asyncio
import os
import random
import signal
import subprocess
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest

from local.servers import Running, temporary_folder
from local.state import DataDirectory
from tests.services.projector.press import Press, made_up, record_mixed
from tests.system.system import System

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_STAGES = "research=0,writer=0,illustrator=0"
"""The test plays the stages: it writes whole histories of every kind."""


@asynccontextmanager
async def system_and_press(scale: str) -> AsyncGenerator[tuple[System, Press]]:
    """The system without its stages, and a hand on its log and its tables."""
    with temporary_folder() as folder:
        async with System(folder / "data", "--scale", scale) as system, AsyncExitStack() as stack:
            yield system, Press(Running(DataDirectory(folder / "data")), stack)


def kill(system: System, name: str) -> None:
    with suppress(KeyError, ProcessLookupError):  # it is down already
        os.kill(system.pid(name), signal.SIGKILL)


async def test_killed_projector_and_postgres_lose_and_double_nothing() -> None:
    chance = random.Random(11)
    async with system_and_press(NO_STAGES) as (system, press):

        def strike() -> None:
            kill(system, chance.choice(["projector-1", "projector-1", "postgres"]))

        await record_mixed(press, made_up(seed=11, count=200), every=150, then=strike)
        await press.until_projected()
        assert_all_equal(await system.run_verb("verify"))
        assert await press.differences() == []


async def test_paused_projector_finds_what_the_other_has_applied() -> None:
    async with system_and_press(f"{NO_STAGES},projector=2") as (system, press):
        for number in range(3):
            paused = system.pid(f"projector-{1 + number % 2}")
            os.kill(paused, signal.SIGSTOP)
            await record_mixed(press, made_up(seed=20 + number, count=10))
            await press.until_projected()
            os.kill(paused, signal.SIGCONT)
            await record_mixed(press, made_up(seed=30 + number, count=10))
        await press.until_projected()
        assert await press.differences() == []


class Reader:
    """A client that reads all the while, and fails at the first answer that is not as it has to be."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.reads = 0

    async def read_on(self, stopped: asyncio.Event) -> None:
        """Reads until it is told to stop."""
        seen = 0
        while not stopped.is_set():
            page = await self._read("/workflows", limit=100)
            assert len(page["items"]) >= seen, "workflows vanished"
            seen = len(page["items"])
            whole = await self._read(f"/workflows/{page['items'][-1]['workflow_id']}", min_position=page["position"])
            assert whole["blog_posts"], "a completed workflow lost its blog post"
            await self._read("/blog-posts")
            await self._read("/images")
            await self._read("/quarantine")

    async def _read(self, path: str, **parameters: int) -> dict[str, Any]:
        answer = await self._system.http.get(path, params=parameters)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        self.reads += 1
        return answer.json()


@asynccontextmanager
async def reading(system: System) -> AsyncGenerator[Reader]:
    """Three clients that read meanwhile."""
    reader, stopped = Reader(system), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(reader.read_on(stopped))
        yield reader
        stopped.set()


async def test_rebuild_under_traffic_is_noticed_by_no_reader() -> None:
    with temporary_folder() as folder:
        async with System(folder / "data", environment={"PRESSROOM_STANDIN_LATENCY_S": "0.2"}) as system:
            await system.until_closed(
                [await system.request(f"Topic {number}", platforms=["x"]) for number in range(10)]
            )
            async with reading(system) as reader:
                later = [await system.request(f"Later {number}", research=True) for number in range(20)]
                assert (await system.run_verb("rebuild"))[0] == 0
                await kill_half_way(system.start_verb("rebuild"))
                assert (await system.run_verb("rebuild"))[0] == 0
                await system.until_closed(later)
            assert reader.reads > 20
            assert_all_equal(await system.run_verb("verify"))


async def kill_half_way(rebuild: "subprocess.Popen[str]") -> None:
    """Kills the rebuild when it says for the first time how far it is."""
    assert rebuild.stderr
    await asyncio.to_thread(rebuild.stderr.readline)
    rebuild.kill()
    await asyncio.to_thread(rebuild.communicate)


def assert_all_equal(verified: tuple[int, str, str]) -> None:
    code, out, err = verified
    assert code == 0, out + err
