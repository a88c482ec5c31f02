"""Processes that are stopped and go on later, as on a machine that hangs: a stage's, a projector."""

import asyncio
import signal

from chaos.faults.killed import POINT_WITHIN_S, in_words
from chaos.ground import ACK_WAIT_S, Ground
from chaos.plan import Step
from chaos.wire.moments import Cuttable, Moment, Point, Trap
from chaos.wire.proxy import Proxy
from local.services import Way


async def stop_a_stage(step: Step, ground: Ground) -> None:
    """For two ack waits: another process takes its work over, and it finds that out when it goes on."""

    def act(moment: Moment, _: Cuttable) -> None:
        ground.signal(moment.process, signal.SIGSTOP)

    moment = await ground.board.spring(Trap(step.target, Point.CALLING, act, nth=step.choices["nth"]), POINT_WITHIN_S)
    if moment is None:
        ground.skipped(step, "the point did not come")
        return
    ground.fired(step, f"{moment.process} stopped, {in_words(moment)}", at=moment.process)
    try:
        await asyncio.sleep(2 * ACK_WAIT_S)
    finally:
        ground.signal(moment.process, signal.SIGCONT)
    ground.healed(step, f"{moment.process} goes on after {2 * ACK_WAIT_S:g} s", at=moment.process)


async def stop_a_projector(step: Step, ground: Ground) -> None:
    """In the middle of a batch, with its locks held. Where it is silent for longer than Postgres bears, the other one
    applies the batch, and the first one wakes with it in its hands.
    """
    paused: list[Proxy] = []

    def act(moment: Moment, _: Cuttable) -> None:
        ground.signal(moment.process, signal.SIGSTOP)
        paused.extend(ground.all_proxies(moment.process, Way.TABLES))
        for proxy in paused:
            proxy.pause()

    moment = await ground.board.spring(Trap(step.target, Point.BEFORE_COMMIT, act), POINT_WITHIN_S)
    if moment is None:
        ground.skipped(step, "the point did not come")
        return
    ground.fired(step, f"{moment.process} stopped {moment.point}", at=moment.process)
    try:
        await asyncio.sleep(step.choices["seconds"])
    finally:
        for proxy in paused:
            proxy.resume()
        ground.signal(moment.process, signal.SIGCONT)
    ground.healed(step, f"{moment.process} goes on after {step.choices['seconds']} s", at=moment.process)


STRIKES = {"zombie": stop_a_stage, "two-projectors": stop_a_projector}
