"""The object store: away, in trouble, slow, and an upload that is cut in the middle."""

import asyncio
from collections.abc import Callable

from chaos.faults.killed import POINT_WITHIN_S
from chaos.ground import Ground
from chaos.plan import Step
from chaos.wire.moments import Cuttable, Moment, Point, Trap
from chaos.wire.proxy import Way as HowItIs
from contracts.services import ILLUSTRATOR
from local.services import Way

DOWN_S, IN_TROUBLE_S, SLOW_S = 6.0, 5.0, 5.0
LATENCY_S, BYTES_PER_S = 0.5, 60_000


class Spoil:
    """Spoils every way to the object store from the next upload on, for a while."""

    def __init__(self, how: Callable[[Step], HowItIs], seconds: float, says: str, *, cuts: bool = True) -> None:
        self._how, self._seconds, self._says, self._cuts = how, seconds, says, cuts

    async def __call__(self, step: Step, ground: Ground) -> None:
        """See Strike."""
        proxies = ground.all_proxies(way=Way.PICTURES)

        def act(_: Moment, __: Cuttable) -> None:
            for proxy in proxies:
                proxy.way = self._how(step)
                if self._cuts:  # those that stand would go on as before
                    proxy.cut()

        moment = await ground.board.spring(Trap(ILLUSTRATOR, Point.UPLOADING, act), POINT_WITHIN_S)
        if moment is None:
            ground.skipped(step, "the point did not come")
            return
        ground.fired(step, f"{self._says}, from an upload of {moment.process} on")
        try:
            await asyncio.sleep(self._seconds)
        finally:
            for proxy in proxies:
                proxy.heal()
        ground.healed(step, f"it is well again after {self._seconds:g} s")


async def cut_upload(step: Step, ground: Ground) -> None:
    """After so many bytes of it."""

    def act(_: Moment, line: Cuttable) -> None:
        line.cut_after = step.choices["bytes"]

    trap = Trap(ILLUSTRATOR, Point.UPLOADING, act, nth=step.choices["nth"], only=_is_picture)
    moment = await ground.board.spring(trap, POINT_WITHIN_S)
    if moment is None:
        ground.skipped(step, "the point did not come")
        return
    ground.fired(step, f"an upload of {moment.process} is cut after {step.choices['bytes']} bytes")
    ground.healed(step, "the next one goes through")


def _is_picture(moment: Moment) -> bool:
    return "/images/" in moment.about["path"]


STRIKES = {
    "s3-down": Spoil(lambda _: HowItIs(is_closed=True), DOWN_S, "connections are refused"),
    "s3-errors": Spoil(lambda step: HowItIs(answers=step.choices["status"]), IN_TROUBLE_S, "it answers with errors"),
    "s3-slow": Spoil(lambda _: HowItIs(latency_s=LATENCY_S, bytes_per_s=BYTES_PER_S), SLOW_S, "it is slow", cuts=False),
    "s3-cut": cut_upload,
}
