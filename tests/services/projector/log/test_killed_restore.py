"""The command of the restore, killed for real: at each step the log stays closed, and the next start finishes it."""

import asyncio
import signal
import sys

import pytest

from chassis.event_store import StoreUnavailable
from chassis.topology import SET_UP
from contracts.services import PROJECTOR
from contracts.subjects import restoring
from local.services import ROOT
from tests.contracts.given import requested
from tests.faulty_wire import wire
from tests.services.projector.log.archived import goes_on, is_restored, project_whole, write
from tests.services.projector.press import Press, new_key

STEPS = (
    ("closed, and not taken away yet", b"API.STREAM.DELETE", 1),
    ("taken away, and not made anew yet", b"API.STREAM.CREATE", 1),
    ("in the middle of what is brought back", restoring("workflow").encode(), 10),
    ("whole, and its consumers not removed yet", b"API.CONSUMER.DELETE", 1),
    ("whole, and not opened yet", b"API.STREAM.UPDATE", 1),
)
"""How far the log has come, and what the command is about to say then, for which time."""


async def command(press: Press, nats_url: str) -> asyncio.subprocess.Process:
    """`./run log restore --yes`"""
    told = {
        **press.environment(SET_UP),
        "PRESSROOM_NATS_URL": nats_url,
        "PRESSROOM_POSTGRES_URL": press.running.postgres_url(PROJECTOR),
        "PYTHONPATH": str(ROOT),
    }
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.projector.log.restore", "--yes"),
        env=told,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def kill_at(press: Press, words: bytes, times: int) -> None:
    async with wire(press.running.nats_url) as it:
        it.stand_still_at(words, times=times)
        process = await command(press, it.url(press.running.nats_url))
        await it.was_said()
        process.kill()
        said, _ = await process.communicate()
        assert process.returncode == -signal.SIGKILL, said.decode()


async def test_command_that_is_killed_at_any_step_is_finished_by_the_next(own_press: Press) -> None:
    before = await project_whole(own_press, 6)
    await own_press.roll_log_back(len(before) - 8)
    await write(own_press, 2)
    newer = (await own_press.entries())[len(before) - 8 :]
    for _, words, times in STEPS:
        await kill_at(own_press, words, times)
        with pytest.raises(StoreUnavailable):  # nobody builds on half a log
            await own_press.record(new_key(), requested())
    last = await command(own_press, own_press.running.nats_url)
    said, _ = await last.communicate()
    assert last.returncode == 0, said.decode()
    assert "The log is whole and open again" in said.decode()
    await is_restored(own_press, before=before, newer=newer)
    await goes_on(own_press)
