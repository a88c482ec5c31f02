"""Read tables filled from a made-up log, by the projector's own code. Not a benchmark."""

import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice

from benchmarks.made_up import Author, entries
from chassis.database import open_connection
from chassis.jetstream_log import Entry
from contracts.services import PROJECTOR
from local.postgres import ADMIN
from local.servers import Running
from services.projector import generation
from services.projector.generation import Checkpoint
from services.projector.setup import set_up
from services.projector.writing import apply

BATCH = 5_000


async def fill(running: Running, workflows: int, *, seed: int = 1) -> Checkpoint:
    """Fills empty read tables with so many workflows, and makes them live. -> where they stand then"""
    await set_up(running.postgres_url(ADMIN))
    connection = await open_connection(running.postgres_url(PROJECTOR), name="filling", command_timeout_s=600)
    try:
        async with connection.transaction():
            checkpoint = await generation.make(connection, 1, "made-up")
            await generation.go_live(connection, 1)
        began = time.monotonic()
        for batch in batches(entries(Author(seed), workflows)):
            checkpoint = await apply(connection, checkpoint, batch, while_live=False)
            if checkpoint.position % (20 * BATCH) == 0:
                _say(checkpoint.position, time.monotonic() - began)
        await generation.analyse(connection, 1)
        return checkpoint
    finally:
        await connection.close()


def batches(log: Iterable[Entry]) -> Iterator[list[Entry]]:
    """The log in pieces."""
    waiting = iter(log)
    while batch := list(islice(waiting, BATCH)):
        yield batch


def _say(events: int, elapsed_s: float) -> None:
    print(f"{events:,} events after {elapsed_s:.0f} s", file=sys.stderr, flush=True)
