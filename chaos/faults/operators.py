"""What operators do, and their machines: a rolling restart, a new release, a rebuild under load, a wrong clock."""

import asyncio
import signal
import subprocess

from chaos import newer
from chaos.clients import read
from chaos.faults.front import client_of
from chaos.faults.killed import POINT_WITHIN_S
from chaos.ground import Ground
from chaos.plan import READERS_FIRST, Step
from chaos.wire.moments import Cuttable, Moment, Point, Trap
from chaos.wire.proxy import until
from contracts.services import GATEWAY, RESEARCH, WRITER
from local.services import ROOT

OFF_FOR_S = 8.0
SIDE_BY_SIDE_S = 8.0
REQUESTS = 3

BUSY, BUSY_TIMES = {"status": 429, "code": "rate_limit_exceeded", "retry_after": 3}, 40
ASKED_MAX, ASKED_EVERY_S = 8, 1.0
FAILED = "attempt-failed"
CALLS_FIRST = {RESEARCH: "research", WRITER: "blog"}
"""Which calls of a stage are refused while its clock is off."""


async def roll(step: Step, ground: Ground) -> None:
    """SIGTERM to every process in turn, the next one when another runs in its place."""
    back = 0
    for name in ground.services():
        if name.startswith(GATEWAY):
            await ground.has_looked()
        before = ground.signal(name, signal.SIGTERM)
        ground.fired(step, f"{name} is asked to go", at=name)
        back += await ground.back(name, before)
    ground.healed(step, f"{back} of {len(ground.services())} processes were replaced")


async def change_over(step: Step, ground: Ground) -> None:
    """Process after process is replaced by one of a newer release, as docs/changing-an-event.md says or the wrong way
    round; what follows in this run is done by the newer code.
    """
    await asyncio.to_thread(newer.make, ground.newer)
    others = [name for name in ground.services() if name.rpartition("-")[0] != GATEWAY]
    gateways = [name for name in ground.services() if name not in others]
    readers_first = [*reversed(others), *gateways]
    names = readers_first if step.choices["order"] == READERS_FIRST else [*gateways, *others]
    for name in names:
        if name in gateways:
            await ground.has_looked()
        ground.release(name)
        before = ground.signal(name, signal.SIGTERM)
        ground.fired(step, f"{name} is replaced by one of the newer release", at=name)
        await ground.back(name, before)
        if name in gateways:
            await until(lambda: _serves(ground), SIDE_BY_SIDE_S)
            for number in range(REQUESTS):
                ground.follow(client_of(ground, f"release-{step.number}-{number}"))
            await asyncio.sleep(SIDE_BY_SIDE_S)
    ground.healed(step, f"all {len(names)} processes are of the newer release")


async def _serves(ground: Ground) -> bool:
    return await read(ground, "/health/live") == 200


async def rebuild(step: Step, ground: Ground) -> None:
    """`./run rebuild`, while events come."""
    ground.fired(step, "./run rebuild")
    process = await asyncio.create_subprocess_exec(
        *ground.command("rebuild"),
        cwd=ROOT,
        env=ground.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, said = await process.communicate()
    last = said.decode(errors="replace").strip().splitlines()[-1:] or [""]
    ground.healed(step, f"it ended with {process.returncode} {last[0][:100]}".strip())


async def shift_clock(step: Step, ground: Ground) -> None:
    """A process is started anew with its clock off, has to say when it goes on, and has the right time again later."""
    process, seconds = step.choices["process"], float(step.choices["seconds"])
    stage = process.rpartition("-")[0]
    if stage == GATEWAY:
        await ground.has_looked()
    ground.set_clock(process, seconds)
    await _restart(ground, process)
    ground.fired(step, f"{process} runs with a clock that is off by {seconds:g} s", at=process)
    said = "; it records no time to wait for"
    try:
        if stage in CALLS_FIRST:
            said = await _says_when(step, ground, process, CALLS_FIRST[stage])
        await asyncio.sleep(OFF_FOR_S)
    finally:
        ground.set_clock(process, 0)
    await _restart(ground, process)
    ground.healed(step, f"{process} has the right time again{said}", at=process)


async def _says_when(step: Step, ground: Ground, process: str, kind: str) -> str:
    """Has the model refuse calls for a few seconds until this very process has recorded when it may be called again: by
    the clock that is off. Nobody may wait an hour for that.
    """
    before = ground.board.counted[process, Point.PULLING]

    async def looks_for_work() -> bool:
        return ground.board.counted[process, Point.PULLING] > before

    await until(looks_for_work, POINT_WITHIN_S)
    await ground.standin.rule(do=BUSY, when={"kind": kind}, times=BUSY_TIMES)
    asking = asyncio.create_task(_ask_now_and_then(step, ground))
    trap = Trap(process, Point.APPENDING, _nothing, only=lambda moment: moment.about.get("event") == FAILED)
    try:
        moment = await ground.board.spring(trap, POINT_WITHIN_S)
    finally:
        asking.cancel()
        await ground.standin.clear()
    return "; it has recorded when to try again" if moment else "; it was refused no call"


async def _ask_now_and_then(step: Step, ground: Ground) -> None:
    """Another process may take any of them."""
    for number in range(ASKED_MAX):
        ground.follow(client_of(ground, f"clock-{step.number}-{number}", research=True))
        await asyncio.sleep(ASKED_EVERY_S)


def _nothing(_: Moment, __: Cuttable) -> None:
    pass


async def _restart(ground: Ground, process: str) -> None:
    await ground.back(process, ground.signal(process, signal.SIGTERM))


STRIKES = {"rolling": roll, "new-release": change_over, "rebuild": rebuild, "clock": shift_clock}
