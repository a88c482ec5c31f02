"""Image calls that hang: how much later all other workflows are done, side by side with the same without them."""

import argparse
import asyncio
import json
import statistics
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import websockets

from benchmarks.pipeline import WISHES, one, percentile, say, system
from local.servers import temporary_folder
from local.standin.control import StandIn

HANGS = "A picture that hangs"
WITHIN_S = 60.0
"""For what has to happen before a round begins."""


@asynccontextmanager
async def hanging(url: str, standin: StandIn, count: int) -> AsyncGenerator[None]:
    """Meanwhile so many workflows wait for a picture that never comes; in the end they are cancelled."""
    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(websockets.connect(url, proxy=None, compression=None)) for _ in range(count)
        ]
        for number, socket in enumerate(sockets):
            await socket.send(json.dumps({**WISHES, "topic": f"{HANGS} {number}"}))
        async with asyncio.timeout(WITHIN_S):
            await standin.calls_until(lambda calls: sum(call.outcome == "hung" for call in calls) >= count)
        yield
        for socket in sockets:
            await socket.send(json.dumps({"type": "cancel"}))
        async with asyncio.timeout(WITHIN_S):
            await standin.calls_until(lambda calls: all(call.ended_at for call in calls))
    await standin.reset()


async def at_once(url: str, count: int, round_name: str) -> list[float]:
    """Seconds of so many workflows that are asked for at the same moment."""
    return sorted(await asyncio.gather(*(one(url, f"{round_name} {number}") for number in range(count))))


async def measure(chosen: argparse.Namespace) -> dict[str, float]:
    """All figures of one run: rounds with and without hung calls take turns."""
    usual, beside = list[float](), list[float]()
    with temporary_folder() as folder:
        async with system(folder, chosen.slots) as (url, standin):
            await standin.rule(when={"kind": "image", "topic_contains": HANGS}, do={"hang": True})
            await at_once(url, chosen.workflows, "Warm-up")
            await standin.latency(chosen.latency)
            for number in range(chosen.rounds):
                say(f"round {number + 1} of {chosen.rounds}: {chosen.workflows} workflows at once, without and with …")
                usual += await at_once(url, chosen.workflows, f"Without {number}")
                async with hanging(url, standin, chosen.hung):
                    beside += await at_once(url, chosen.workflows, f"With {number}")
    alone, delayed = sorted(usual), sorted(beside)
    return {
        "hung": chosen.hung,
        "workflows": chosen.workflows,
        "slots": chosen.slots,
        "without_s_p50": round(statistics.median(alone), 2),
        "with_s_p50": round(statistics.median(delayed), 2),
        "without_s_p99": round(percentile(alone, 0.99), 2),
        "with_s_p99": round(percentile(delayed, 0.99), 2),
        "delay_s_p50": round(statistics.median(delayed) - statistics.median(alone), 2),
        "delay_s_of_the_last": round(delayed[-1] - alone[-1], 2),
    }


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(prog="./run bench hung", description=__doc__)
    parser.add_argument("--hung", type=int, default=1, help="image calls that hang (%(default)s)")
    parser.add_argument("--workflows", type=int, default=20, help="others, all at once (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="without and with (%(default)s)")
    parser.add_argument("--latency", type=float, default=0.5, help="seconds of a call that answers (%(default)s)")
    parser.add_argument("--slots", type=int, default=16, help="of each stage, PRESSROOM_CONCURRENCY (%(default)s)")
    print(json.dumps(asyncio.run(measure(parser.parse_args()))), flush=True)


if __name__ == "__main__":
    main()
