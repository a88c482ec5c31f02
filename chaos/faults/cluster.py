"""Three servers of the log: the leader killed, two stopped, one frozen, one cut off from the others."""

import asyncio
import signal

from chaos.faults.killed import POINT_WITHIN_S, in_words
from chaos.faults.log_itself import ask
from chaos.ground import Ground
from chaos.plan import Step
from chaos.wire.moments import Cuttable, Moment, Point, Trap
from chaos.wire.proxy import until
from chassis.event_store import StoreUnavailable
from chassis.jetstream_store import STREAM
from local.nats import node_name

TWO_DOWN_S, FROZEN_S, PARTITIONED_S = 6.0, 8.0, 8.0
ELECTED_WITHIN_S = 20.0

LEADER = "leader"


async def kill_leader(step: Step, ground: Ground) -> None:
    """In the middle of an append."""
    leader = node_name(await leading(ground))
    killed: list[int | None] = []

    def act(_: Moment, __: Cuttable) -> None:
        killed.append(ground.signal(leader, signal.SIGKILL))

    moment = await ground.board.spring(Trap("", Point.APPENDING, act, nth=step.choices["nth"]), POINT_WITHIN_S)
    if moment is None:
        ground.skipped(step, "the point did not come")
        return
    ground.fired(step, f"{leader} killed while {moment.process} was {in_words(moment)}", at=leader)
    is_back = await ground.back(leader, killed[0]) and await ground.log_answers()
    ground.healed(step, f"{leader} {'answers again' if is_back else 'is not back'}", at=leader)


async def stop_two(step: Step, ground: Ground) -> None:
    """No majority is left: nothing can be stored."""
    names = [f"nats-{number}" for number in step.choices["nodes"].split("+")]
    for name in names:
        ground.signal(name, signal.SIGSTOP)
    ground.fired(step, f"{' and '.join(names)} stopped")
    try:
        await asyncio.sleep(TWO_DOWN_S)
    finally:
        for name in names:
            ground.signal(name, signal.SIGCONT)
    ground.healed(step, f"they go on after {TWO_DOWN_S:g} s")


async def freeze(step: Step, ground: Ground) -> None:
    """To the others it is silent, and whoever is connected to it hears nothing."""
    name = node_name(step.choices["node"])
    proxies = ground.proxies_to_node(step.choices["node"])
    for proxy in proxies:
        proxy.pause()
    ground.signal(name, signal.SIGSTOP)
    ground.fired(step, f"{name} is frozen", at=name)
    try:
        await asyncio.sleep(FROZEN_S)
    finally:
        ground.signal(name, signal.SIGCONT)
        for proxy in proxies:
            proxy.resume()
    ground.healed(step, f"{name} goes on after {FROZEN_S:g} s", at=name)


async def partition(step: Step, ground: Ground) -> None:
    """It runs on without the others. Where its clients stay, it takes in what they say and can store nothing of it."""
    node = step.choices["node"]
    number = await leading(ground) if node == LEADER else node
    clients = [] if step.choices["clients"] == "stay" else ground.proxies_to_node(number)
    ground.routes.isolate(number, silently=step.choices["others"] == "hear nothing")
    for proxy in clients:
        proxy.way.is_closed = True
        proxy.cut()
    name = node_name(number)
    ground.fired(step, f"{name} is cut off: {step.when}", at=name)
    try:
        await asyncio.sleep(PARTITIONED_S)
    finally:
        ground.routes.join(number)
        for proxy in clients:
            proxy.heal()
    ground.healed(step, f"{name} is joined with the others again after {PARTITIONED_S:g} s", at=name)


async def leading(ground: Ground) -> int:
    """The number of the server that leads the log. Raises StoreUnavailable where none comes to."""
    leader = ""

    async def look() -> bool:
        nonlocal leader
        told = await ask(connection, f"STREAM.INFO.{STREAM}", {})
        leader = told.get("cluster", {}).get("leader", "")
        return bool(leader)

    async with ground.connection() as connection:
        if not await until(look, ELECTED_WITHIN_S, every_s=0.2):
            raise StoreUnavailable("the log has no leader")
    return int(leader.rpartition("-")[2])


STRIKES = {"leader": kill_leader, "two-down": stop_two, "node-frozen": freeze, "partition": partition}
