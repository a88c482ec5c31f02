"""The disk of the log's server, full and with room again. It is a small one of its own, in memory, for this run."""

import asyncio
import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaos.faults.front import client_of
from chaos.ground import CannotStart, Ground
from chaos.plan import DISK_FULL, Plan, Step

SIZE = "192m"
PIECE = bytes(1024**2)
FULL_S = 8.0
NAME = "nats"


@contextmanager
def small_disk(plan: Plan, data: Path) -> Generator[None]:
    """Gives the log's server a small disk, where the plan fills it. Raises CannotStart where that is not allowed."""
    if DISK_FULL not in plan.faults:
        yield
        return
    if os.geteuid() != 0:
        raise CannotStart(f"The fault {DISK_FULL!r} mounts a small disk, which only root may do.")
    place = data / NAME
    place.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "pressroom-chaos", place],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        raise CannotStart(f"The fault {DISK_FULL!r} cannot mount a small disk: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=False)


async def fill(step: Step, ground: Ground) -> None:
    """To the last byte. With room again the supervisor starts the server anew, and all goes on by itself."""
    filler, before = ground.data.path / NAME / "filler", ground.pid(NAME)
    await asyncio.to_thread(_fill, filler)
    ground.fired(step, "not a byte more can be written")
    client = client_of(ground, f"disk-{step.number}")
    asking = asyncio.create_task(client.send("request", "/workflows", client.body()))
    try:
        await asyncio.sleep(FULL_S)
    finally:
        filler.unlink()
    is_back = await ground.back(NAME, before) and await ground.log_answers()
    answer = await asking
    ground.follow(client)
    words = "answers again" if is_back else "is not back"
    told = answer.status_code if answer is not None else "nothing"
    ground.healed(step, f"there is room again, and NATS {words}; a request meanwhile was told {told}")


def _fill(filler: Path) -> None:
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(PIECE):
            pass


STRIKES = {DISK_FULL: fill}
