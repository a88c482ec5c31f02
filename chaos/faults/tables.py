"""Postgres: killed, slow, a connection cut while a COMMIT is under way, and a deadlock that ends a batch."""

import asyncio
from typing import TYPE_CHECKING

from chaos.clients import read
from chaos.faults.killed import POINT_WITHIN_S
from chaos.ground import Ground
from chaos.plan import Step
from chaos.wire.moments import Cuttable, Moment, Point, Trap
from chaos.wire.proxy import until
from local.services import Way
from local.spawn import kill_group

if TYPE_CHECKING:
    from chassis.database import Connection

SLOW_S, LATENCY_S = 5.0, 0.5
TOLD_WITHIN_S = 5.0
NAME = "postgres"

DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
LOOKS_FOR_NONE = "SET deadlock_timeout = '1h'; SET lock_timeout = '10s'"
WAIT_FOR_ARCHIVE = """
    SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE relation = 'archive.events'::regclass AND NOT granted AND application_name = 'projector'
"""


async def kill(step: Step, ground: Ground) -> None:
    """With a COMMIT under way."""
    before: list[int | None] = []

    def act(_: Moment, __: Cuttable) -> None:
        before.append(ground.pid(NAME))
        if before[0] is not None:
            kill_group(before[0])

    moment = await ground.board.spring(Trap("", Point.COMMITTING, act, nth=step.choices["nth"]), POINT_WITHIN_S)
    if moment is None:
        ground.skipped(step, "the point did not come")
        return
    ground.fired(step, f"Postgres killed while {moment.process} was committing")
    status = await read(ground, "/workflows")
    await ground.back(NAME, before[0])
    is_back = await until(lambda: answers(ground), POINT_WITHIN_S, every_s=0.2)
    ground.healed(step, f"it {'answers again' if is_back else 'is not back'}; a read meanwhile was told {status}")


async def answers(ground: Ground) -> bool:
    """Whether reads are served."""
    return await read(ground, "/workflows") == 200


async def slow(step: Step, ground: Ground) -> None:
    """Each answer takes half a second more."""
    proxies = ground.all_proxies(way=Way.TABLES)
    for proxy in proxies:
        proxy.way.latency_s = LATENCY_S
    ground.fired(step, f"each answer takes {LATENCY_S:g} s more")
    try:
        status = await read(ground, "/workflows")
        await asyncio.sleep(SLOW_S)
    finally:
        for proxy in proxies:
            proxy.heal()
    ground.healed(step, f"it is as fast as before; a read meanwhile was told {status}")


async def cut_commit(step: Step, ground: Ground) -> None:
    """Whether the transaction stands, the projector has to find out."""

    def act(_: Moment, line: Cuttable) -> None:
        line.cut()

    moment = await ground.board.spring(
        Trap(step.target, Point.COMMITTING, act, nth=step.choices["nth"]), POINT_WITHIN_S
    )
    if moment is None:
        ground.skipped(step, "the point did not come")
        return
    ground.fired(step, f"{moment.process} has sent a COMMIT, and its connection is cut", at=moment.process)
    ground.healed(step, "it connects anew", at=moment.process)


async def deadlock(step: Step, ground: Ground) -> None:
    """Somebody holds the archive until a batch waits for it, and asks then for the checkpoint, which the batch holds.

    Whoever looks for a deadlock is the one who is ended: only the projectors look.
    """
    holding, looking = await ground.database(), await ground.database()
    try:
        before = await looking.fetchval(DEADLOCKS)
        await holding.execute(LOOKS_FOR_NONE)
        async with holding.transaction():
            await holding.execute("LOCK TABLE archive.events IN EXCLUSIVE MODE")
            if not await until(lambda: _is_waited_for(looking), POINT_WITHIN_S, every_s=0.02):
                ground.skipped(step, "no batch came to wait for it")
                return
            ground.fired(step, "a batch waits for the archive, and its checkpoint is asked for")
            reading = asyncio.create_task(read(ground, "/workflows"))
            await holding.fetch("SELECT * FROM projection.checkpoints FOR UPDATE")
        status, ended = await reading, await _deadlocks_since(looking, before)
    finally:
        for connection in (holding, looking):
            connection.terminate()
    ground.healed(step, f"Postgres has ended {ended} of the batches; a read meanwhile was told {status}")


async def _is_waited_for(looking: "Connection") -> bool:
    """Whether a projector waits for the archive."""
    return await looking.fetchval(WAIT_FOR_ARCHIVE) > 0


async def _deadlocks_since(looking: "Connection", before: int) -> int:
    """How many there were; a connection that was ended tells it only as it goes."""

    async def look() -> bool:
        return await looking.fetchval(DEADLOCKS) > before

    await until(look, TOLD_WITHIN_S, every_s=0.1)
    return await looking.fetchval(DEADLOCKS) - before


STRIKES = {
    "postgres-killed": kill,
    "postgres-slow": slow,
    "postgres-commit": cut_commit,
    "postgres-deadlock": deadlock,
}
