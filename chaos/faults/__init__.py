"""The faults, a file for each family: what is done to the running system, at which point, and how it is healed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from chaos.faults import (
    cluster,
    damage,
    disk,
    front,
    hostile,
    killed,
    log_itself,
    log_server,
    model,
    operators,
    pictures,
    stopped,
    tables,
)
from chaos.ground import Ground
from chaos.plan import Step, parts_of

Strike = Callable[[Step, Ground], Awaitable[None]]
"""Waits for the step's point, does the fault, heals it, and tells each."""

PROCESSES: Mapping[str, Strike] = {
    **killed.STRIKES,
    **stopped.STRIKES,
    "rolling": operators.roll,
    "new-release": operators.change_over,
}
SERVERS: Mapping[str, Strike] = {
    **log_server.STRIKES,
    **log_itself.STRIKES,
    **tables.STRIKES,
    **cluster.STRIKES,
    **disk.STRIKES,
}
SURROUNDINGS: Mapping[str, Strike] = {
    **pictures.STRIKES,
    **model.STRIKES,
    **front.STRIKES,
    **hostile.STRIKES,
    "rebuild": operators.rebuild,
    "clock": operators.shift_clock,
}

LANES: tuple[frozenset[str], ...] = tuple(frozenset(lane) for lane in (PROCESSES, SERVERS, SURROUNDINGS))
"""Faults of one lane come one after the other; the lanes run side by side."""


async def strike_several(step: Step, ground: Ground) -> None:
    """All parts at once, each with a number of its own."""
    await asyncio.gather(*(STRIKES[part.kind](part, ground) for part in parts_of(step)))


STRIKES: Mapping[str, Strike] = {**PROCESSES, **SERVERS, **SURROUNDINGS, "everything": strike_several, **damage.STRIKES}
