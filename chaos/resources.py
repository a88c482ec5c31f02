"""Resources: what every process takes and has on its hands: before the faults, meanwhile, and after them."""

import asyncio
from typing import Any

import httpx2
import psutil

from chaos.ground import Ground
from chaos.wire.proxy import until
from contracts.services import GATEWAY
from local.spawn import noted_processes
from local.state import LOCALHOST
from local.supervisor import REGISTER

EVERY_S = 2.0

REST_WITHIN_S = 10.0
"""So long is waited until nothing is held any more: a client's last words, or a lookup, may still be under way."""

ANSWER_S = 1.0
"""A process that does not say by then what it has on its hands is asked again at the next sample: it may be stopped."""

PORT = "PRESSROOM_HEALTH_PORT"
GATEWAY_PORT = "PRESSROOM_PORT"


async def note_at_rest(ground: Ground, when: str) -> None:
    """What every process takes once nobody holds anything; where that does not come about, what stands then."""

    async def look() -> bool:
        loads = [await load(ground, name) for name in ground.services()]
        return all(told and not any(queue["length"] for queue in told["queues"].values()) for told in loads)

    await until(look, REST_WITHIN_S, every_s=0.5)
    await note(ground, when)


async def sample(ground: Ground) -> None:
    """Every few seconds; until it is cancelled."""
    while True:
        await note(ground, "during")
        await asyncio.sleep(EVERY_S)


async def note(ground: Ground, when: str) -> None:
    """What every process takes now."""
    names = [*noted_processes(ground.data.path / REGISTER).items()]
    loads = await asyncio.gather(*(load(ground, name) for name, _ in names))
    for (name, (pid, _)), told in zip(names, loads, strict=True):
        try:
            process = psutil.Process(pid)
            taken = {
                "rss_bytes": process.memory_info().rss,
                "files": process.num_fds(),
                "threads": process.num_threads(),
            }
        except psutil.Error:
            continue
        ground.records.write("resources", when=when, process=name, pid=pid, **taken, load=told)


async def load(ground: Ground, name: str) -> dict[str, Any] | None:
    """What a process of a service has on its hands, by its own word. None: it does not say so, or is none of ours."""
    pid = ground.pid(name)
    if name not in ground.services() or pid is None:
        return None
    try:
        told = psutil.Process(pid).environ()
        port = told[GATEWAY_PORT if name.startswith(GATEWAY) else PORT]
        answer = await ground.http.get(f"http://{LOCALHOST}:{port}/health/live", timeout=ANSWER_S)
        return answer.json()["load"]
    except (psutil.Error, httpx2.TransportError, KeyError, ValueError):  # it dies, stands still, or just begins
        return None
