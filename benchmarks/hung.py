"""Image calls that hang: how much later all other workflows are done, side by side with the same without them.

Ends with 1 when that is more than a second. Judged is `delay_s`. In each round as many workflows are made without and
then beside the calls that hang, and compared by rank: the first with the first, the last with the last. The largest of
these differences is the round's delay, and the median of the rounds is judged: what delays a workflow delays it in each
round, while a machine that is busy with something else for a moment spoils one of them.
"""

import argparse
import asyncio
import json
import statistics
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import websockets

from benchmarks.judging import end
from benchmarks.pipeline import WISHES, one, percentile, say, system
from local.servers import temporary_folder
from local.standin.control import StandIn

HANGS = "A picture that hangs"
WITHIN_S = 60.0
"""For what has to happen before a round begins."""

DELAY_MAX_S = 1.0
"""That no other workflow may be delayed by."""


@dataclass(frozen=True)
class Round:
    """Seconds of each workflow, without calls that hang and beside them."""

    without: list[float]
    beside: list[float]

    @property
    def delay_s(self) -> float:
        """The most by which a workflow ended later than the one of the same rank."""
        return max(late - usual for usual, late in zip(sorted(self.without), sorted(self.beside), strict=True))


def figures(rounds: Sequence[Round]) -> dict[str, object]:
    """What is told of so many rounds."""
    without = sorted(seconds for one in rounds for seconds in one.without)
    beside = sorted(seconds for one in rounds for seconds in one.beside)
    return {
        "without_s_p50": round(statistics.median(without), 2),
        "with_s_p50": round(statistics.median(beside), 2),
        "without_s_p99": round(percentile(without, 0.99), 2),
        "with_s_p99": round(percentile(beside, 0.99), 2),
        "delays_s": [round(one.delay_s, 2) for one in rounds],
        "delay_s": round(judged_s(rounds), 2),
    }


def judged_s(rounds: Sequence[Round]) -> float:
    """The delay that is judged."""
    return statistics.median(one.delay_s for one in rounds)


def beyond(rounds: Sequence[Round]) -> list[str]:
    """In a sentence, that others are delayed by too much; nothing where they are not."""
    if (delay_s := judged_s(rounds)) <= DELAY_MAX_S:
        return []
    return [f"calls that hang delay other workflows by {delay_s:.2f} s; allowed are {DELAY_MAX_S:g} s"]


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
    return await asyncio.gather(*(one(url, f"{round_name} {number}") for number in range(count)))


async def measure(chosen: argparse.Namespace) -> list[Round]:
    """Rounds without and with hung calls, in turns, on one system."""
    rounds = list[Round]()
    with temporary_folder() as folder:
        async with system(folder, chosen.slots) as (url, standin):
            await standin.rule(when={"kind": "image", "topic_contains": HANGS}, do={"hang": True})
            await at_once(url, chosen.workflows, "Warm-up")
            await standin.latency(chosen.latency)
            for number in range(chosen.rounds):
                say(f"round {number + 1} of {chosen.rounds}: {chosen.workflows} workflows at once, without and with …")
                without = await at_once(url, chosen.workflows, f"Without {number}")
                async with hanging(url, standin, chosen.hung):
                    beside = await at_once(url, chosen.workflows, f"With {number}")
                rounds.append(Round(without, beside))
    return rounds


def main() -> None:
    """Prints one line of JSON; ends with 1 when others are delayed by too much."""
    parser = argparse.ArgumentParser(
        prog="./run bench hung", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hung", type=int, default=1, help="image calls that hang (%(default)s)")
    parser.add_argument("--workflows", type=int, default=20, help="others, all at once (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="without and with (%(default)s)")
    parser.add_argument("--latency", type=float, default=0.5, help="seconds of a call that answers (%(default)s)")
    parser.add_argument("--slots", type=int, default=16, help="of each stage, PRESSROOM_CONCURRENCY (%(default)s)")
    chosen = parser.parse_args()
    rounds = asyncio.run(measure(chosen))
    asked = {name: vars(chosen)[name] for name in ("hung", "workflows", "slots")}
    end({**asked, **figures(rounds)}, beyond(rounds))


if __name__ == "__main__":
    main()
