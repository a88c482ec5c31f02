"""A stage's process killed at the six points of its work; and one after the other, every two seconds."""

import asyncio
import random
from collections.abc import Callable

from chaos.ground import Ground
from chaos.plan import Step
from chaos.wire.moments import Cuttable, Moment, Point, Trap

POINT_WITHIN_S = 20.0
"""So long a step waits for its point; then there is no work left that could reach it."""

EVERY_S = 2.0

CLAIM = "work-claimed"
CLOSING = ("workflow-completed", "workflow-failed")


def is_claim(moment: Moment) -> bool:
    """Says who works on it."""
    return moment.about.get("event") == CLAIM


def is_result(moment: Moment) -> bool:
    """Records what came of an attempt."""
    return moment.about.get("event") not in (CLAIM, *CLOSING)


def is_anything(_: Moment) -> bool:
    """Every moment counts."""
    return True


def killing(point: Point, only: Callable[[Moment], bool] = is_anything, *, hears_it: bool = False) -> "Kill":
    """Kills the process at this point. `hears_it`: what it is told there still arrives."""
    return Kill(point, only, hears_it)


class Kill:
    """Kills whichever process of the stage reaches the point."""

    def __init__(self, point: Point, only: Callable[[Moment], bool], hears_it: bool) -> None:
        self._point, self._only, self._hears_it = point, only, hears_it

    async def __call__(self, step: Step, ground: Ground) -> None:
        """See Strike."""
        killed: list[int | None] = []

        def act(moment: Moment, _: Cuttable) -> None:
            killed.append(ground.pid(moment.process))
            if self._hears_it:
                asyncio.get_running_loop().call_soon(ground.kill, moment.process)
            else:
                ground.kill(moment.process)

        trap = Trap(step.target, self._point, act, nth=step.choices["nth"], only=self._only)
        moment = await ground.board.spring(trap, POINT_WITHIN_S)
        if moment is None:
            ground.skipped(step, f"the point did not come within {POINT_WITHIN_S:g} s ({trap.seen} of {trap.nth})")
            return
        ground.fired(step, f"{moment.process} killed (process {killed[0]}), {in_words(moment)}", at=moment.process)
        is_back = await ground.back(moment.process, killed[0])
        told = "was started again" if is_back else "is not back"
        ground.healed(step, f"{moment.process} {told}", at=moment.process)


def in_words(moment: Moment) -> str:
    """The moment, with the event that it is about."""
    event = moment.about.get("event")
    return f"{moment.point} {event}" if event else str(moment.point)


async def kill_every_two_seconds(step: Step, ground: Ground) -> None:
    """Until every workflow has ended or waits to be resumed: one stage's process after the other, in the order that the
    seed gives. One that has not begun to work since it was killed last is left alone: it could lose nothing.
    """
    chance, count = random.Random(f"{ground.plan.seed} kills"), 0
    pulls: dict[str, int] = {}
    while not ground.clients_done.is_set():
        now = {name: ground.board.counted[name, Point.PULLING] for name in ground.stages()}
        at_work = [name for name, count in now.items() if count > pulls.get(name, 0)]
        if at_work:
            name = chance.choice(at_work)
            pulls[name] = now[name]
            pid = ground.kill(name)
            count += 1
            ground.fired(step, f"{name} killed (process {pid})", at=name)
        try:
            async with asyncio.timeout(EVERY_S):
                await ground.clients_done.wait()
        except TimeoutError:
            continue
    ground.healed(step, f"{count} processes were killed")


STRIKES = {
    "pull": killing(Point.DELIVERED, hears_it=True),
    "claim": killing(Point.STORED, is_claim),
    "call": killing(Point.CALLING),
    "answer": killing(Point.ANSWERED, hears_it=True),
    "upload": killing(Point.UPLOADED),
    "append": killing(Point.STORED, is_result),
    "append-sent": killing(Point.APPENDING, is_result),
    "kills": kill_every_two_seconds,
}
