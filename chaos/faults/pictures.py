"""The object store: away, in trouble, slow, an upload that is cut in the middle, and pictures with a wrong bit."""

import asyncio
from collections.abc import Callable
from pathlib import PurePosixPath

from chaos.clients import read
from chaos.faults.killed import POINT_WITHIN_S
from chaos.ground import Ground
from chaos.plan import Step
from chaos.wire.moments import Cuttable, Moment, Point, Trap
from chaos.wire.proxy import Way as HowItIs
from chaos.wire.proxy import until
from contracts.services import GATEWAY, ILLUSTRATOR
from local.services import Way

DOWN_S, IN_TROUBLE_S, SLOW_S = 6.0, 5.0, 5.0
LATENCY_S, BYTES_PER_S = 0.5, 60_000
ASKED_WITHIN_S = 5.0
GIVEN = "a picture"


class Spoil:
    """Spoils every way to the object store from the next upload on, for a while: as long as was drawn, where it was."""

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
        seconds = step.choices.get("seconds", self._seconds)
        try:
            await asyncio.sleep(seconds)
        finally:
            for proxy in proxies:
                proxy.heal()
        ground.healed(step, f"it is well again after {seconds:g} s")


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


def _is_pointer(moment: Moment) -> bool:
    return "/pointers/" in moment.about["path"]


async def change_a_bit(step: Step, ground: Ground) -> None:
    """Of a picture: on its way to the store, back to the illustrator, or to a client who asks for it."""
    await {"uploaded": _change_upload, "read back": _change_read_back, "served": _change_served}[step.choices["how"]](
        step, ground
    )


async def _change_upload(step: Step, ground: Ground) -> None:
    def act(_: Moment, line: Cuttable) -> None:
        line.says_wrong = step.choices["byte"]

    await _notices(step, ground, Trap(ILLUSTRATOR, Point.UPLOADING, act, nth=step.choices["nth"], only=_is_picture))


async def _change_read_back(step: Step, ground: Ground) -> None:
    await _notices(step, ground, Trap(ILLUSTRATOR, Point.FETCHED, _hears_wrong(step), step.choices["nth"], _is_picture))


def _hears_wrong(step: Step) -> Callable[[Moment, Cuttable], None]:
    def act(_: Moment, line: Cuttable) -> None:
        line.hears_wrong = step.choices["byte"]

    return act


async def _notices(step: Step, ground: Ground, trap: Trap) -> None:
    """The illustrator has to find it out, and to upload the same picture again."""
    moment = await ground.board.spring(trap, POINT_WITHIN_S)
    if moment is None:
        ground.skipped(step, "the point did not come")
        return
    ground.fired(step, f"a bit of the picture that {moment.process} has {step.choices['how']} is changed")
    path = moment.about["path"]
    again = Trap(ILLUSTRATOR, Point.UPLOADING, _nothing, only=lambda seen: seen.about["path"] == path)
    is_mended = await ground.board.spring(again, POINT_WITHIN_S)
    ground.healed(step, "it was uploaded again" if is_mended else "it was not uploaded again")


def _nothing(_: Moment, __: Cuttable) -> None:
    pass


async def _change_served(step: Step, ground: Ground) -> None:
    """A client asks for the picture that was stored last."""
    stored = await ground.board.spring(
        Trap(ILLUSTRATOR, Point.UPLOADED, _nothing, nth=step.choices["nth"], only=_is_pointer), POINT_WITHIN_S
    )
    if stored is None:
        ground.skipped(step, "no picture was stored")
        return
    sha256 = PurePosixPath(stored.about["path"]).name
    springing = asyncio.create_task(
        ground.board.spring(Trap(GATEWAY, Point.FETCHED, _hears_wrong(step), only=_is_picture), ASKED_WITHIN_S)
    )
    await asyncio.sleep(0)  # the trap is there before somebody asks
    answers = [await _served(ground, sha256)]
    if await springing is None:
        ground.skipped(step, f"the gateway did not ask for the picture, and answered {answers[0]}")
        return
    ground.fired(step, "a bit of the picture that is served is changed")

    async def look() -> bool:
        answers.append(await _served(ground, sha256))
        return answers[-1] == GIVEN

    await until(look, POINT_WITHIN_S, every_s=0.5)
    ground.healed(step, f"the client was told {', '.join(answers)}")


async def _served(ground: Ground, sha256: str) -> str:
    """What a client is given who asks for the picture; whether it is that one, the checker knows by what is kept."""
    status = await read(ground, f"/images/{sha256}")
    return GIVEN if status == 200 else "nothing" if status is None else str(status)


STRIKES = {
    "s3-down": Spoil(lambda _: HowItIs(is_closed=True), DOWN_S, "connections are refused"),
    "s3-errors": Spoil(lambda step: HowItIs(answers=step.choices["status"]), IN_TROUBLE_S, "it answers with errors"),
    "s3-slow": Spoil(lambda _: HowItIs(latency_s=LATENCY_S, bytes_per_s=BYTES_PER_S), SLOW_S, "it is slow", cuts=False),
    "s3-cut": cut_upload,
    "s3-wrong-bytes": change_a_bit,
}
