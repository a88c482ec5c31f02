"""The server of the log: killed, killed right after an ack, stopped for a while."""

import asyncio
import signal
from collections.abc import Callable

from chaos.faults.killed import POINT_WITHIN_S, in_words, is_anything
from chaos.ground import Ground
from chaos.plan import Step
from chaos.wire.moments import Cuttable, Moment, Point, Trap

PAUSED_S = 5.0


async def kill_after_ack(step: Step, ground: Ground) -> None:
    """The ack was sent; whether the server has kept it, nobody knows."""
    await _kill(step, ground, Point.SETTLING, _is_ack)


async def kill(step: Step, ground: Ground) -> None:
    """In the middle of an append."""
    await _kill(step, ground, Point.APPENDING, is_anything)


async def pause(step: Step, ground: Ground) -> None:
    """It lives and does not answer: connections stand, and nothing comes."""
    name = ground.nats_names()[0]

    def act(_: Moment, __: Cuttable) -> None:
        ground.signal(name, signal.SIGSTOP)

    moment = await ground.board.spring(Trap("", Point.APPENDING, act, nth=step.choices["nth"]), POINT_WITHIN_S)
    if moment is None:
        ground.skipped(step, "the point did not come")
        return
    ground.fired(step, f"{name} stopped while {moment.process} was {in_words(moment)}")
    try:
        await asyncio.sleep(PAUSED_S)
    finally:
        ground.signal(name, signal.SIGCONT)
    ground.healed(step, f"{name} goes on after {PAUSED_S:g} s")


async def _kill(step: Step, ground: Ground, point: Point, only: Callable[[Moment], bool]) -> None:
    name, killed = ground.nats_names()[0], list[int | None]()

    def act(_: Moment, __: Cuttable) -> None:
        killed.append(ground.signal(name, signal.SIGKILL))

    moment = await ground.board.spring(Trap("", point, act, nth=step.choices["nth"], only=only), POINT_WITHIN_S)
    if moment is None:
        ground.skipped(step, "the point did not come")
        return
    ground.fired(step, f"{name} killed while {moment.process} was {in_words(moment)}")
    is_back = await ground.back(name, killed[0]) and await ground.log_answers()
    ground.healed(step, f"{name} answers again" if is_back else f"{name} is not back")


def _is_ack(moment: Moment) -> bool:
    return moment.about.get("word") == "+ACK"


STRIKES = {"nats-after-ack": kill_after_ack, "nats-killed": kill, "nats-paused": pause}
