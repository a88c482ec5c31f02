"""The projector: how fast it catches up and rebuilds, beside reading alone, and how late rows are when it is live."""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from benchmarks.made_up import Author, entries
from chassis.connection import Connection
from chassis.database import open_connection
from chassis.jetstream_log import Entry, JetStreamLog
from chassis.settings import Settings
from chassis.setup import reconcile
from chassis.telemetry import set_up_logs
from chassis.topology import SET_UP
from contracts.services import PROJECTOR
from contracts.subjects import parse
from local.postgres import ADMIN
from local.servers import Running, servers
from services.projector.projector import Projector
from services.projector.rebuild import Rebuild
from services.projector.setup import set_up

LIVE_PER_S = 200
"""Far more than models let happen: ten events a workflow are twenty workflows a second."""

POSITION = "SELECT position FROM projection.live JOIN projection.checkpoints USING (generation)"


class Bench:
    """One log and one database, and what is measured on them."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.connections: dict[str, Connection] = {}

    async def connection(self, user: str) -> Connection:
        """This user's connection to NATS."""
        if user not in self.connections:
            self.connections[user] = await Connection.open(
                self.running.nats_url, user=user, password=self.running.passwords[user], name="benchmark"
            )
        return self.connections[user]

    async def prepare(self) -> None:
        """Both set-up steps."""
        await reconcile(await self.connection(SET_UP), Settings.model_validate({"log_bytes_max": 3 * 1024**3}))
        await set_up(self.running.postgres_url(ADMIN))

    async def publish(self, entry: Entry) -> None:
        """Appends one event, without a fence: nobody else writes."""
        connection = await self.connection(parse(entry.subject).service)
        await connection.ask(entry.subject, entry.body, headers=dict(entry.headers), timeout_s=30)

    async def fill(self, log: Sequence[Entry]) -> None:
        """Appends the whole log, one event after the other: each service has a connection of its own."""
        for entry in log:
            await self.publish(entry)

    async def read_alone(self) -> float:
        """Seconds that reading the log takes."""
        log, position = JetStreamLog(await self.connection(PROJECTOR)), 0
        began = time.monotonic()
        while found := await log.read(position):
            position = found[-1].position
        return time.monotonic() - began

    @asynccontextmanager
    async def projecting(self) -> AsyncGenerator[None]:
        """A projector at work."""
        working = asyncio.create_task(
            Projector(await self.connection(PROJECTOR), self.running.postgres_url(PROJECTOR)).run()
        )
        try:
            yield
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def until(self, position: int) -> float:
        """Waits until the tables contain this event. -> the time"""
        connection = await open_connection(self.running.postgres_url(ADMIN), name="benchmark", command_timeout_s=30)
        while (await connection.fetchval(POSITION) or 0) < position:  # noqa: ASYNC110 - it happens in Postgres
            await asyncio.sleep(0.001)
        await connection.close()
        return time.monotonic()

    async def catch_up(self, position: int) -> float:
        """Seconds from empty tables to this position."""
        began = time.monotonic()
        async with self.projecting():
            return await self.until(position) - began

    async def rebuild(self) -> float:
        """Seconds of a whole rebuild, the change-over included."""
        connection = await open_connection(self.running.postgres_url(PROJECTOR), name="rebuild", command_timeout_s=600)
        began = time.monotonic()
        await Rebuild(JetStreamLog(await self.connection(PROJECTOR)), connection, _nobody).run()
        await connection.close()
        return time.monotonic() - began

    async def live(self, log: Sequence[Entry]) -> list[float]:
        """Seconds from an append's acknowledgement to its row, for events that come at a steady pace."""
        arrived, late = dict[int, float](), list[float]()
        connection = await open_connection(self.running.postgres_url(ADMIN), name="benchmark", command_timeout_s=30)
        async with self.projecting():
            await self.until(log[0].position - 1)
            publishing = asyncio.create_task(self._publish_steadily(log, arrived))
            for entry in log:
                while (await connection.fetchval(POSITION)) < entry.position:  # noqa: ASYNC110
                    await asyncio.sleep(0)
                late.append(time.monotonic() - arrived.get(entry.position, time.monotonic()))
            await publishing
        await connection.close()
        return late

    async def _publish_steadily(self, log: Sequence[Entry], arrived: dict[int, float]) -> None:
        began = time.monotonic()
        for number, entry in enumerate(log):
            await asyncio.sleep(max(0.0, began + number / LIVE_PER_S - time.monotonic()))
            await self.publish(entry)
            arrived[entry.position] = time.monotonic()


def _nobody(_done: int, _of: int) -> None:
    """Nobody watches the rebuild."""


async def measure(workflows: int) -> dict[str, float]:
    """All figures of one run."""
    log = list(entries(Author(1), workflows))
    split = len(log) - 5 * LIVE_PER_S
    async with servers(nats=True, postgres=True) as running:
        bench = Bench(running)
        await bench.prepare()
        await bench.fill(log[:split])
        read_s = await bench.read_alone()
        caught_up_s = await bench.catch_up(split)
        rebuilt_s = await bench.rebuild()
        late = sorted(await bench.live(log[split:]))
        for connection in bench.connections.values():
            await connection.close()
    return {
        "events": split,
        "read_events_per_s": round(split / read_s),
        "caught_up_events_per_s": round(split / caught_up_s),
        "rebuilt_events_per_s": round(split / rebuilt_s),
        "rebuilt_to_read_ratio": round(rebuilt_s / read_s, 1),
        "live_events_per_s": LIVE_PER_S,
        "row_late_ms_p50": round(statistics.median(late) * 1000, 1),
        "row_late_ms_p99": round(late[int(len(late) * 0.99)] * 1000, 1),
    }


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(prog="./run bench projection", description=__doc__)
    parser.add_argument("--workflows", type=int, default=2_000, help="of the made-up log (%(default)s)")
    chosen = parser.parse_args()
    set_up_logs("benchmark", "warning", "text")
    print(json.dumps(asyncio.run(measure(chosen.workflows))), file=sys.stdout)


if __name__ == "__main__":
    main()
