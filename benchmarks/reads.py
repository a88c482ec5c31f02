"""Lists, pages, searches and single reads over HTTP with 100,000 workflows: how long each takes, and its query plan."""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from benchmarks.filling import fill
from benchmarks.made_up import PLACES, SUBJECTS, WORDS
from chassis.connection import Connection
from chassis.database import open_connection
from chassis.settings import Settings
from chassis.setup import reconcile
from chassis.telemetry import set_up_logs
from chassis.topology import SET_UP
from contracts.services import GATEWAY
from local.servers import Running, servers
from local.state import free_port
from services.gateway import statements
from services.gateway.desk import OWNER
from services.gateway.library import ASKED_OF_INDEX_MAX, search_query
from services.gateway.pages import BEGINNING

READS = 400
"""Of each kind: the p99 is the fifth slowest."""

Reads = Mapping[str, tuple[str, Mapping[str, Any]]]


def kinds_of_reads(ids: Mapping[str, list[str]], cursors: list[str], chance: random.Random) -> Reads:
    """One read of each kind, drawn anew: what is asked for, and with which parameters."""
    word, place, subject = chance.choice(WORDS), chance.choice(PLACES).split()[-1], chance.choice(SUBJECTS)
    cursor = chance.choice(cursors)
    return {
        "first page": ("/workflows", {}),
        "page of 100": ("/workflows", {"limit": 100}),
        "deep page": ("/workflows", {"cursor": cursor}),
        "by status": ("/workflows", {"status": chance.choice(("open", "completed", "failed", "cancelled"))}),
        "by status, deep": ("/workflows", {"status": "failed", "cursor": cursor}),
        "search: in each": ("/workflows", {"q": "the"}),
        "search: common word": ("/workflows", {"q": subject}),
        "search: word": ("/workflows", {"q": word}),
        "search: beginning of a word": ("/workflows", {"q": word[:2]}),
        "search: two words": ("/workflows", {"q": f"{word} {place}"}),
        "search: rare": ("/workflows", {"q": f"{word} {chance.choice(WORDS)} {place} {subject}"}),
        "search: nothing": ("/workflows", {"q": "xylophone"}),
        "search: status, deep": ("/workflows", {"q": word, "status": "failed", "cursor": cursor}),
        "one workflow": (f"/workflows/{chance.choice(ids['workflows'])}", {}),
        "blog posts": ("/blog-posts", {}),
        "one blog post": (f"/blog-posts/{chance.choice(ids['blog-posts'])}", {}),
        "social media posts": ("/social-media-posts", {"platform": chance.choice(("x", "linkedin"))}),
        "images": ("/images", {}),
        "images of a workflow": ("/images", {"workflow_id": chance.choice(ids["workflows"])}),
        "quarantine": ("/quarantine", {}),
        "parked": ("/parked", {}),
        "parked, deep": ("/parked", {"cursor": cursor}),
    }


async def measure(running: Running, *, side_by_side: int) -> dict[str, list[float]]:
    """Milliseconds of each read, by its kind."""
    async with gateway(running) as http:
        ids, cursors = await known(http)
        took: dict[str, list[float]] = {}

        async def read(seed: int) -> None:
            for kind, (path, parameters) in kinds_of_reads(ids, cursors, random.Random(seed)).items():  # noqa: S311
                began = time.perf_counter()
                answer = await http.get(path, params=parameters)
                took.setdefault(kind, []).append((time.perf_counter() - began) * 1000)
                answer.raise_for_status()

        for seed in range(0, READS, side_by_side):
            await asyncio.gather(*(read(seed + number) for number in range(side_by_side)))
        return took


@asynccontextmanager
async def gateway(running: Running) -> AsyncGenerator[httpx2.AsyncClient]:
    """A gateway as it is deployed, in a process of its own."""
    port = free_port()
    told = {
        "PRESSROOM_NATS_URL": running.nats_url,
        "PRESSROOM_NATS_PASSWORD": running.passwords[GATEWAY],
        "PRESSROOM_POSTGRES_URL": running.postgres_url(GATEWAY),
        "PRESSROOM_PORT": str(port),
        "PRESSROOM_LOG_LEVEL": "warning",
    }
    process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
        [sys.executable, "-m", "services.gateway"], env={"PYTHONPATH": ":".join(sys.path)} | told
    )
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
            await until_ready(http)
            yield http
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 10)


async def until_ready(http: httpx2.AsyncClient) -> None:
    """Waits until it answers."""
    while True:
        try:
            (await http.get("/health/ready")).raise_for_status()
        except httpx2.HTTPError:
            await asyncio.sleep(0.05)
        else:
            return


async def known(http: httpx2.AsyncClient) -> tuple[dict[str, list[str]], list[str]]:
    """Ids that there are, and cursors from the newest page to the oldest."""
    ids: dict[str, list[str]] = {"workflows": [], "blog-posts": []}
    cursors = list[str]()
    for name, id_of in (("workflows", "workflow_id"), ("blog-posts", "id")):
        page: dict[str, Any] = {"next": None}
        for _ in range(200):
            asked = {"limit": 100} | ({"cursor": page["next"]} if page["next"] else {})
            page = (await http.get(f"/{name}", params=asked)).json()
            ids[name] += [item[id_of] for item in page["items"]]
            if not page["next"]:
                break
            if name == "workflows":
                cursors.append(page["next"])
    return ids, cursors


async def plans(running: Running) -> None:
    """Prints how Postgres carries out the statements behind the lists."""
    connection = await open_connection(running.postgres_url(GATEWAY), name="plans", command_timeout_s=30)
    await connection.execute("SET plan_cache_mode = force_custom_plan; SET enable_seqscan = off")
    asked: dict[str, tuple[str, tuple[object, ...]]] = {
        "first page": (statements.WORKFLOWS, (BEGINNING, 21, None)),
        "by status": (statements.WORKFLOWS, (BEGINNING, 21, "failed")),
        "parked": (statements.PARKED, (BEGINNING, 21, None)),
        "search, common": (statements.WORKFLOWS_WITH_WORDS, (BEGINNING, 21, None, *searched("history"))),
        "search, rare": (statements.WORKFLOWS_WITH_WORDS, (BEGINNING, 21, None, *searched("tea bees Peru"))),
    }
    for name, (statement, arguments) in asked.items():
        rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {statement}", OWNER, *arguments)
        print(f"\n--- {name}", *(row[0] for row in rows), sep="\n")
    await connection.close()


def searched(words: str) -> tuple[str, str]:
    """The words as the library asks for them, and those that it asks the index for."""
    return search_query(words), search_query(words, longest=ASKED_OF_INDEX_MAX)


def told(took: dict[str, list[float]]) -> dict[str, float]:
    """Prints a line a kind. -> the figures for one line of JSON"""
    print(f"{'read':<30} {'p50 ms':>8} {'p99 ms':>8}")
    for kind, times in took.items():
        print(f"{kind:<30} {share(times, 0.5):>8.1f} {share(times, 0.99):>8.1f}")
    return {
        "p50_ms_worst": round(max(share(times, 0.5) for times in took.values()), 1),
        "p99_ms_worst": round(max(share(times, 0.99) for times in took.values()), 1),
    }


def share(times: list[float], part: float) -> float:
    """The time within which this part of the reads was answered."""
    return sorted(times)[min(len(times) - 1, int(len(times) * part))]


async def run(workflows: int, side_by_side: int, *, with_plans: bool) -> dict[str, float]:
    """Fills the tables and reads them."""
    async with servers(nats=True, postgres=True) as running:
        connection = await Connection.open(
            running.nats_url, user=SET_UP, password=running.passwords[SET_UP], name="benchmark"
        )
        await reconcile(connection, Settings.model_validate({"log_bytes_max": 256 * 1024**2}))
        await connection.close()
        filled = await fill(running, workflows)
        if with_plans:
            await plans(running)
        figures = told(await measure(running, side_by_side=side_by_side))
        return {"workflows": workflows, "events": filled.position, "side_by_side": side_by_side, **figures}


def main() -> None:
    """Prints a table, and one line of JSON."""
    parser = argparse.ArgumentParser(prog="./run bench reads", description=__doc__)
    parser.add_argument("--workflows", type=int, default=100_000, help="in the tables (%(default)s)")
    parser.add_argument("--side-by-side", type=int, default=1, help="clients at a time (%(default)s)")
    parser.add_argument("--plans", action="store_true", help="print the query plans as well")
    chosen = parser.parse_args()
    set_up_logs("benchmark", "warning", "text")
    print(json.dumps(asyncio.run(run(chosen.workflows, chosen.side_by_side, with_plans=chosen.plans))))


if __name__ == "__main__":
    main()
