"""The whole system over the websocket, with the stand-in model: overhead, throughput, and 200 workflows at once."""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import websockets

from contracts.events import WorkflowCancelled, WorkflowCompleted, WorkflowFailed
from local.servers import temporary_folder
from local.services import ROOT
from local.standin.control import StandIn
from local.state import DataDirectory

WISHES: dict[str, Any] = {"type": "start", "research": True, "platforms": ["linkedin", "x"]}
"""What every workflow asks for: four works one after the other or side by side, five model calls and a search."""

TERMINAL = {kind.model_fields["type"].default for kind in (WorkflowCompleted, WorkflowFailed, WorkflowCancelled)}

SECONDS_BEFORE = {"research": 0, "writer": 1, "illustrator": 2}
"""Calls that come before a stage's first one, where each call takes a second."""

CALLS_OF_STAGE = {"research": 1, "writer": 2, "illustrator": 2}
"""Seconds for which one workflow takes a slot of a stage: the blog and the posts, which run side by side; the scene and
the picture."""

CRITICAL_PATH = 4
"""Calls one behind the other: research, blog, scene, picture."""


@asynccontextmanager
async def system(folder: Path, slots: int) -> AsyncGenerator[tuple[str, StandIn]]:
    """`./run` on an empty data directory. -> its websocket, and the control of its stand-in model"""
    unpaid = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", "TAVILY_API_KEY": ""}
    environment = {**os.environ, **unpaid, "PRESSROOM_CONCURRENCY": str(slots), "PRESSROOM_STANDIN_LATENCY_S": "0"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, ROOT / "run", "up", "--data", folder / "data", "--port", "0"),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = (await first_line(process)).split()[-1]
        port = DataDirectory(folder / "data").port("stand-in")
        async with StandIn(f"http://127.0.0.1:{port}") as standin:
            yield f"{address.replace('http', 'ws', 1)}/content", standin
    finally:
        process.send_signal(signal.SIGINT)
        await process.wait()


async def first_line(process: asyncio.subprocess.Process) -> str:
    """What the start says when everything answers. Raises RuntimeError where it ended instead."""
    line = await process.stdout.readline() if process.stdout else b""
    if not line:
        raise RuntimeError("`./run up` did not start; try it by hand")
    return line.decode()


async def one(url: str, topic: str) -> float:
    """Seconds from the request of one workflow to its last event. Raises RuntimeError unless it completes."""
    began = time.monotonic()
    async with websockets.connect(url, proxy=None, compression=None) as socket:
        await socket.send(json.dumps({**WISHES, "topic": topic}))
        async for frame in socket:
            event = json.loads(frame).get("event")
            if event in TERMINAL:
                if event != "workflow-completed":
                    raise RuntimeError(f"{topic}: {event}")
                return time.monotonic() - began
    raise RuntimeError(f"{topic}: the socket was closed")


async def alone(url: str, count: int) -> list[float]:
    """Seconds of each workflow, one after the other."""
    return sorted([await one(url, f"Alone {number}") for number in range(count)])


async def at_once(url: str, clients: int, count: int) -> float:
    """Seconds in which so many clients, each with one workflow at a time, have made so many workflows."""
    topics = iter([f"At once {number}" for number in range(count)])

    async def client() -> None:
        for topic in topics:
            await one(url, topic)

    began = time.monotonic()
    await asyncio.gather(*(client() for _ in range(clients)))
    return time.monotonic() - began


async def makespan(url: str, count: int) -> float:
    """Seconds in which so many workflows are made that are all asked for at the same moment."""
    began = time.monotonic()
    await asyncio.gather(*(one(url, f"Together {number}") for number in range(count)))
    return time.monotonic() - began


def ideal_s(count: int, slots: int) -> float:
    """The least time that so many workflows with one-second calls can take, were everything else free.

    One workflow takes its critical path. Many wait for the slots of the busiest stage, which starts when the calls
    before it have been made.
    """
    of_stages = [SECONDS_BEFORE[stage] + calls * count / slots for stage, calls in CALLS_OF_STAGE.items()]
    return max(CRITICAL_PATH, *of_stages)


async def measure(chosen: argparse.Namespace) -> dict[str, float]:
    """All figures of one run."""
    with temporary_folder() as folder:
        async with system(folder, chosen.slots) as (url, standin):
            await alone(url, 5)  # everything has been done once
            say(f"{chosen.alone} workflows, one after the other …")
            overhead = await alone(url, chosen.alone)
            say(f"{chosen.workflows} workflows by {chosen.clients} clients …")
            throughput_s = await at_once(url, chosen.clients, chosen.workflows)
            say(f"{chosen.workflows} workflows at once, with one-second calls …")
            await standin.latency(1)
            together_s = await makespan(url, chosen.workflows)
    ideal = ideal_s(chosen.workflows, chosen.slots)
    return {
        "overhead_ms_p50": round(statistics.median(overhead) * 1000),
        "overhead_ms_p99": round(percentile(overhead, 0.99) * 1000),
        "workflows_per_s": round(chosen.workflows / throughput_s, 2),
        "clients": chosen.clients,
        "slots": chosen.slots,
        "makespan_s": round(together_s, 1),
        "ideal_s": round(ideal, 1),
        "makespan_ratio": round(together_s / ideal, 2),
    }


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that so large a share does not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def say(text: str) -> None:
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(prog="./run bench pipeline", description=__doc__)
    parser.add_argument("--alone", type=int, default=100, help="workflows, one after the other (%(default)s)")
    parser.add_argument("--clients", type=int, default=50, help="who ask at once (%(default)s)")
    parser.add_argument("--workflows", type=int, default=200, help="that they ask for (%(default)s)")
    parser.add_argument("--slots", type=int, default=16, help="of each stage, PRESSROOM_CONCURRENCY (%(default)s)")
    print(json.dumps(asyncio.run(measure(parser.parse_args()))), flush=True)


if __name__ == "__main__":
    main()
