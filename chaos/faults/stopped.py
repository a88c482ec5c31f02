"""Processes that are stopped and go on later, as on a machine that hangs: a stage's, a projector."""

import asyncio
import signal

from chaos.faults.killed import POINT_WITHIN_S, in_words
from chaos.ground import ACK_WAIT_S, Ground
from chaos.plan import Step
from chaos.wire.moments import Cuttable, Moment, Point, Trap

PROJECTOR_S = 5.0


async def stop_a_stage(step: Step, ground: Ground) -> None:
    """For two ack waits: another process takes its work over, and it finds that out when it goes on."""

    def act(moment: Moment, _: Cuttable) -> None:
        ground.signal(moment.process, signal.SIGSTOP)

    moment = await ground.board.spring(Trap(step.target, Point.CALLING, act, nth=step.choices["nth"]), POINT_WITHIN_S)
    if moment is None:
        ground.skipped(step, "the point did not come")
        return
    ground.fired(step, f"{moment.process} stopped, {in_words(moment)}", at=moment.process)
    await _go_on(step, ground, moment.process, 2 * ACK_WAIT_S)


async def stop_a_projector(step: Step, ground: Ground) -> None:
    """The other one goes on; the first one wakes with a batch in its hands that is long applied."""
    ground.signal(step.target, signal.SIGSTOP)
    ground.fired(step, f"{step.target} stopped")
    await _go_on(step, ground, step.target, PROJECTOR_S)


async def _go_on(step: Step, ground: Ground, process: str, seconds: float) -> None:
    try:
        await asyncio.sleep(seconds)
    finally:
        ground.signal(process, signal.SIGCONT)
    ground.healed(step, f"{process} goes on after {seconds:g} s", at=process)


STRIKES = {"zombie": stop_a_stage, "two-projectors": stop_a_projector}
