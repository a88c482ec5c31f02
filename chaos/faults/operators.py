"""What operators do, and their machines: a rolling restart, a rebuild under load, a clock that is off."""

import asyncio
import signal
import subprocess

from chaos.ground import Ground
from chaos.plan import Step
from local.services import ROOT

OFF_FOR_S = 8.0


async def roll(step: Step, ground: Ground) -> None:
    """SIGTERM to every process in turn, the next one when another runs in its place."""
    back = 0
    for name in ground.services():
        before = ground.signal(name, signal.SIGTERM)
        ground.fired(step, f"{name} is asked to go", at=name)
        back += await ground.back(name, before)
    ground.healed(step, f"{back} of {len(ground.services())} processes were replaced")


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
    """A process is started anew with its clock off, and later with the right time again."""
    process, seconds = step.choices["process"], float(step.choices["seconds"])
    ground.set_clock(process, seconds)
    await _restart(ground, process)
    ground.fired(step, f"{process} runs with a clock that is off by {seconds:g} s", at=process)
    try:
        await asyncio.sleep(OFF_FOR_S)
    finally:
        ground.set_clock(process, 0)
    await _restart(ground, process)
    ground.healed(step, f"{process} has the right time again", at=process)


async def _restart(ground: Ground, process: str) -> None:
    await ground.back(process, ground.signal(process, signal.SIGTERM))


STRIKES = {"rolling": roll, "rebuild": rebuild, "clock": shift_clock}
