"""The rebuild: the read tables made anew from the log, beside the live ones, then changed over in one transaction.

python -m services.projector.rebuild        (./run rebuild)

The live tables are kept and read all the while; the new ones never come further than they, so that the change-over is
from a position to the same position. A rebuild that dies leaves the live tables as they were; the next one clears up.
"""

import argparse
import asyncio
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncpg.exceptions import DeadlockDetectedError, LockNotAvailableError

from chassis.database import named_failures
from chassis.jetstream_log import JetStreamLog
from chassis.settings import Settings, load_settings
from chassis.telemetry import set_up_logs
from services.projector import generation
from services.projector.archive import LogInDoubt
from services.projector.generation import Checkpoint
from services.projector.progress import Told, shown
from services.projector.reading import OtherLog, refuse_holes, refuse_lost
from services.projector.task import TROUBLE, connected
from services.projector.writing import apply

if TYPE_CHECKING:
    from chassis.database import Connection

DESCRIPTION = """Makes the read tables anew from the log, beside the live ones, and then changes over to them in one
step. Readers and the projector go on meanwhile; a rebuild that is stopped leaves everything as it was."""

BATCH = 2_000
"""Events of one transaction. Larger ones were no faster."""

REBUILD_LOCK = 7_305_002
"""Of Postgres' advisory locks: one rebuild at a time."""

LAG_MAX = 256
"""The new tables may be so many events behind when the change-over begins: a fraction of a second."""

COMMAND_S = 600.0
"""How long one statement, and one transaction, may take: the planner's statistics of large tables."""

SILENCE_S = 15.0
"""After so long in the middle of a transaction Postgres takes a rebuild for dead: longer than a read of the log may."""

READERS_MAX_S = 1
"""How long the change-over waits for readers of the old views, and others behind it; then it lets them through."""

CHANGE_OVERS_MAX = 30

PAUSE_S = 0.5


class CannotRebuild(Exception):
    """The tables cannot be made anew at the moment; the live ones are as they were."""


@dataclass(frozen=True)
class Rebuild:
    """One rebuild. `told` hears how many events of how many are in. `adopts`: from a log that is new to the tables."""

    log: JetStreamLog
    connection: "Connection"
    told: Told
    adopts: bool = False

    async def run(self) -> Checkpoint:
        """Makes the live tables anew from the log. -> where they stand then

        Raises CannotRebuild, LogInDoubt, StoreUnavailable, DatabaseUnavailable.
        """
        with named_failures():
            if not await self.connection.fetchval("SELECT pg_try_advisory_lock($1)", REBUILD_LOCK):
                raise CannotRebuild("another rebuild is at work")
            before, epoch = await self._live(), await self.log.epoch()
            if before.epoch != epoch and not self.adopts:
                raise OtherLog(epoch, before.epoch)
            new = await self._changed_over(before, await self._filled(before, epoch))
            await self._clear_up()
            return new

    async def _live(self) -> Checkpoint:
        checkpoint = await generation.live(self.connection)
        if checkpoint is None:
            raise CannotRebuild("there are no read tables yet; the projector makes them when it starts")
        return checkpoint

    async def _filled(self, before: Checkpoint, epoch: str) -> Checkpoint:
        """A new generation, all but where the live one is."""
        for left in await generation.others(self.connection):
            await generation.drop(self.connection, left)
        new = await generation.make(self.connection, before.generation + 1, epoch)
        while (await self._target(new)) - new.position > LAG_MAX:
            new = await self._replayed(new, await self._target(new))
        await generation.analyse(self.connection, new.generation)
        return new

    async def _target(self, new: Checkpoint) -> int:
        """How far to go: as far as the live tables of the same log, or to the end of one that is new."""
        live = await self._live()
        return live.position if live.epoch == new.epoch else await self.log.end()

    async def _replayed(self, new: Checkpoint, target: int) -> Checkpoint:
        """Applies the log up to the target; the archive tells whether it is still the same log. Raises LogInDoubt."""
        while new.position < target:
            entries = await self.log.read(new.position, most=min(BATCH, target - new.position))
            if not entries:
                await refuse_lost(self.log, target)
                await asyncio.sleep(PAUSE_S)  # it was a replica that lags
                continue
            refuse_holes(new.position, entries)
            new = await apply(self.connection, new, entries, while_live=False)
            self.told(new.position, target)
        return new

    async def _changed_over(self, before: Checkpoint, new: Checkpoint) -> Checkpoint:
        """Has readers see the new tables, at the very position of the old ones."""
        for _ in range(CHANGE_OVERS_MAX):
            with suppress(LockNotAvailableError, DeadlockDetectedError):
                async with self.connection.transaction():
                    await self.connection.execute(f"SET LOCAL lock_timeout = '{READERS_MAX_S}s'")
                    return await self._change_over(before, new)
            await asyncio.sleep(PAUSE_S)  # in which the readers that waited get through
            new = await self._replayed(new, await self._target(new))
        raise CannotRebuild(f"readers held the old tables for longer than {READERS_MAX_S} s, again and again")

    async def _change_over(self, before: Checkpoint, new: Checkpoint) -> Checkpoint:
        if await generation.locked_live(self.connection, change_over=True) != before.generation:
            raise CannotRebuild("other tables have gone live meanwhile")
        last = await self._replayed(new, await self._target(new))
        await generation.go_live(self.connection, new.generation)
        return last

    async def _clear_up(self) -> None:
        """Removes the old tables. Where somebody still reads them, the next rebuild does."""
        with suppress(LockNotAvailableError, DeadlockDetectedError):
            await self.connection.execute(f"SET lock_timeout = '{READERS_MAX_S}s'")
            for old in await generation.others(self.connection):
                await generation.drop(self.connection, old)


async def _rebuild(settings: Settings, *, adopts: bool) -> Checkpoint:
    limits = {"command_timeout_s": COMMAND_S, "silence_s": SILENCE_S, "transaction_s": COMMAND_S}
    async with connected(settings, "rebuild", **limits) as (log, connection):
        with shown("Rebuilding the read tables") as told:
            return await Rebuild(log, connection, told, adopts).run()


def main() -> None:
    """Exit code 0: the tables are new. 1: a sentence says why they are not."""
    parser = argparse.ArgumentParser(prog="./run rebuild", description=DESCRIPTION)
    parser.add_argument("--adopt-log", action="store_true", help="build from a log that the tables do not know yet")
    chosen = parser.parse_args()
    settings = load_settings()
    set_up_logs("rebuild", settings.log_level, settings.log_format)
    try:
        done = asyncio.run(_rebuild(settings, adopts=chosen.adopt_log))
    except KeyboardInterrupt:
        sys.exit("Stopped. Readers go on with whole tables: the old ones, or the new ones if they had just gone live.")
    except (CannotRebuild, LogInDoubt, *TROUBLE) as wrong:
        sys.exit(f"The read tables were not made anew: {wrong}")
    print(f"The read tables are new: {done.position:,} events, in {done.schema}.")  # noqa: T201


if __name__ == "__main__":
    main()
