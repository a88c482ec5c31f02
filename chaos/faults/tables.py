"""Postgres: killed, slow, and a connection cut while a COMMIT is under way."""

import asyncio

from chaos.clients import read
from chaos.faults.killed import POINT_WITHIN_S
from chaos.ground import Ground
from chaos.plan import Step
from chaos.wire.moments import Cuttable, Moment, Point, Trap
from chaos.wire.proxy import until
from local.services import Way
from local.spawn import kill_group

SLOW_S, LATENCY_S = 5.0, 0.5
NAME = "postgres"


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


STRIKES = {"postgres-killed": kill, "postgres-slow": slow, "postgres-commit": cut_commit}
