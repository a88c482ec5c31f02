"""The front: the gateway killed with sockets open, requests that are repeated, live messages that are lost."""

import asyncio
import time
from dataclasses import replace

from chaos.clients import ONLOOKER, Client, Watcher
from chaos.faults.hostile import note_bound
from chaos.faults.killed import POINT_WITHIN_S, in_words
from chaos.ground import Ground
from chaos.plan import Step
from chaos.wire.moments import Cuttable, Moment, Point, Trap
from chaos.wire.proxy import until
from contracts.services import GATEWAY
from contracts.subjects import REPUBLISH_TO
from local.services import Way

PARALLEL = 5
WATCHERS, LATEST = 60, 6
BACK_WITHIN_S, KEPT_S = 10.0, 30.0
"""So long they may take from the kill on; and so long it is waited, so that it is known how late they are."""
LOST_FOR_S = 6.0
LIVE = REPUBLISH_TO.partition(">")[0].encode()


async def kill_gateway(step: Step, ground: Ground) -> None:
    """With requests under way. Everybody attaches again behind the last revision that they were told."""
    await ground.has_looked()
    killed: list[int | None] = []

    def act(moment: Moment, _: Cuttable) -> None:
        killed.append(ground.kill(moment.process))

    watchers = [
        Watcher(ground, workflow_id, name=f"watcher-{step.number}-{number}")
        for number, workflow_id in enumerate((ground.known_workflows[-LATEST:] * WATCHERS)[:WATCHERS], start=1)
    ]
    watching = [asyncio.create_task(watcher.live()) for watcher in watchers]
    try:
        trap = Trap(GATEWAY, Point.STORED, act, nth=step.choices["nth"])
        for number in range(step.choices["nth"] + 1):
            ground.follow(client_of(ground, f"gateway-{step.number}-{number}"))
        moment = await ground.board.spring(trap, POINT_WITHIN_S)
        if moment is None:
            ground.skipped(step, "the point did not come")
            return
        before, began = [watcher.attached for watcher in watchers], time.monotonic()
        ground.fired(
            step, f"{moment.process} killed with {len(watchers)} watchers, {in_words(moment)}", at=moment.process
        )
        await ground.back(moment.process, killed[0])

        async def all_back() -> bool:
            return all(one.is_done or one.attached > then for one, then in zip(watchers, before, strict=True))

        are_back = await until(all_back, KEPT_S)
        took_s = time.monotonic() - began
        note_bound(ground, step, "every watcher is back", BACK_WITHIN_S, took_s, needs_log=True, is_over=are_back)
        back = sum(one.is_done or one.attached > then for one, then in zip(watchers, before, strict=True))
        ground.healed(step, f"{back} of {len(watchers)} watchers are back", at=moment.process)
    finally:
        ground.onlookers |= {*watching}


async def repeat_requests(step: Step, ground: Ground) -> None:
    """The same request five times at once, then once more; the first one of the run; then another one under its id."""
    client = client_of(ground, f"repeats-{step.number}")
    ground.fired(step, f"{PARALLEL} times at once")
    answers = await asyncio.gather(*(client.send("request", "/workflows", client.body()) for _ in range(PARALLEL)))
    again = await client.send("request", "/workflows", client.body())
    oldest = Client(ground, ground.plan.wishes[0], name=f"repeats-{step.number}-oldest")
    long_after = await oldest.send("request", "/workflows", oldest.body())
    other = await client.send("request", "/workflows", {**client.body(), "topic": "something else"})
    told = [str(answer.status_code) if answer is not None else "nothing" for answer in (*answers, again, long_after)]
    ground.healed(
        step, f"told {', '.join(told)}; with another body {other.status_code if other is not None else 'nothing'}"
    )
    ground.follow(client)


def client_of(ground: Ground, name: str, *, research: bool = False) -> Client:
    """A client of a fault's own, whose workflow is one of all."""
    topic = f"Chaos {ground.plan.seed}-{name}: asked for by a fault"
    wish = replace(ONLOOKER, topic=topic, platforms=("x",), research=research, over_http=True)
    return Client(ground, wish, name=name, key=f"chaos-{ground.plan.seed}-{name}")


async def lose_live(step: Step, ground: Ground) -> None:
    """Republishing is at most once: nothing else tells of it, and the connection stands."""
    proxies = ground.all_proxies(GATEWAY, Way.LOG)
    for proxy in proxies:
        proxy.way.loses = LIVE
    ground.fired(step, "live messages are lost")
    try:
        await asyncio.sleep(LOST_FOR_S)
    finally:
        for proxy in proxies:
            proxy.way.loses = None
    ground.healed(step, "they arrive again")


STRIKES = {
    "gateway-killed": kill_gateway,
    "repeats": repeat_requests,
    "live-lost": lose_live,
}
