"""Damage to the log is found, told, and undone: the restored log is, byte for byte, the one that was archived."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from chassis.jetstream_store import STREAM
from tests.contracts.given import requested
from tests.services.projector.log.archived import digests, goes_on, is_restored, project_whole, write
from tests.services.projector.log.damage import cut, damage, flip_bit
from tests.services.projector.press import Press, new_key

LOST = 50


@pytest.mark.parametrize(
    ("what", "then", "told"),
    [
        (flip_bit, signal.SIGKILL, "it has lost event {last}, which was archived"),
        (cut, signal.SIGKILL, "it has lost event {last}, which was archived"),
        (flip_bit, signal.SIGTERM, "the log cannot give position"),
        (cut, signal.SIGTERM, "the log has holes: it ends at {last} and holds"),
    ],
    ids=["flipped and killed", "cut and killed", "flipped and stopped", "cut and stopped"],
)
async def test_damaged_file_is_found_in_one_look_and_restored(
    own_press: Press, what: Callable[[Path], None], then: signal.Signals, told: str
) -> None:
    before = await project_whole(own_press, 5)
    told = told.format(last=len(before))
    await damage(own_press, what, then=then)
    assert told in (await (await own_press.guard()).look() or "nothing")
    async with own_press.projecting() as projector:
        await own_press.until_trouble(projector, told)
        await own_press.restore()
        assert digests(await own_press.entries()) == digests(before)
        await projector.guard.look()
        await own_press.until_projected(await own_press.record(new_key(), requested()))
        assert projector.trouble is None
    await goes_on(own_press)


@pytest.mark.parametrize("new", [0, 30], ids=["nothing new", "more new events than were lost"])
@pytest.mark.parametrize("is_running", [True, False], ids=["while it ran", "while it was down"])
async def test_log_rolled_back_by_50_is_refused_and_restored(own_press: Press, *, is_running: bool, new: int) -> None:
    before = await project_whole(own_press, 30)
    last = len(before)

    async def roll_back() -> None:
        await own_press.roll_log_back(last - LOST)
        await write(own_press, new)

    if not is_running:
        await roll_back()
    async with own_press.projecting() as projector:
        if is_running:
            await own_press.until_projected()
            await roll_back()
        lost, replaced = f"it has lost event {last}", f"holds another event than was archived at position {last}"
        told = (replaced, f"event {last} is not the one that was applied") if new else (lost,)
        await own_press.until_trouble(projector, *told)
        assert told[0] in (await (await own_press.guard()).look() or "nothing")
        damaged = await own_press.entries()
        plan = await own_press.restore()
        await is_restored(own_press, before=before, newer=damaged[last - LOST :])
        assert len(plan.tail) == 2 * new and all(newer.is_appended for newer in plan.newer)
        await projector.guard.look()
        await own_press.until_projected()
    await goes_on(own_press)


async def test_consumers_of_the_stages_begin_anew(own_press: Press) -> None:
    before = await project_whole(own_press, 3)
    await own_press.roll_log_back(len(before) - 2)
    await own_press.restore()
    told = await own_press.api(f"CONSUMER.INFO.{STREAM}.writer")
    assert (told["num_pending"], told["ack_floor"]["stream_seq"]) == (len(before), 0)
