"""The guard: looks at start and every minute whether the log is still the one that was archived, in every copy.

epoch + no hole + not shorter + the last archived event + a rolling comparison by hash ──any wrong──> doubt

One bad copy of several is enough: any of them may answer a read. The doubt names its server. A copy that cannot be read
at the moment is no doubt: reads are then answered from the others.

What was measured of nats-server 2.15.1, and why each part is there. A flipped bit or a cut block under a running server
shows nothing for as long as the block stands in the server's memory, 10 s after its last use; then a read answers as if
the event had never been, while the stream counts it still. After a clean stop it is the same. The next append behind a
block that was cut, and each start after a kill, let the log end right before the damage, without a word; new events
then take the positions of the lost ones. So neither the stream's own numbers nor the last event tell enough.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from chassis.connection import NoAnswer
from chassis.database import DatabaseUnavailable, DataRefused, named_failures, open_connection
from chassis.event_store import NotAllowed, StoreUnavailable
from chassis.jetstream_log import JetStreamLog, LogClosed, LogState
from chassis.log_copies import NoCopyRead
from services.projector import archive, generation
from services.projector.archive import LogInDoubt
from services.projector.log.likeness import Comparison, Piece, comparing
from services.projector.log.wording import told_copies, told_stretches
from services.projector.reading import refuse_other_log

if TYPE_CHECKING:
    from chassis.database import Connection

EVERY_S = 60.0
"""Damage is to be found within a minute: longer, and more would be built on it."""

AGAIN_S = 5.0
"""While the log is in doubt it is looked at more often, so that work goes on soon after it was restored."""

EVENTS_A_LOOK = 10_000
"""Compared by hash in one look, in each copy. Each look takes the next so many."""

SHARE = 0.1
"""Of the time of a look that is spent on comparing; the projector has the rest."""

COMMAND_S = 30.0

log = structlog.get_logger("guard")


@dataclass(frozen=True)
class Archived:
    """What the archive holds of the log: its id, and up to which position."""

    epoch: str
    end: int


class Guard:
    """Compares the log with its archive. `doubt` says what is wrong with the log, or None.

    It stays at what it found wrong until that is right again, and then goes on from there.
    """

    def __init__(self, log: JetStreamLog, postgres_url: str) -> None:
        self._log, self._postgres_url = log, postgres_url
        self._compared = 0  # up to where the round that is under way has come
        self._looking = asyncio.Lock()
        self.doubt: str | None = None

    def refuse_doubt(self) -> None:
        """Raises LogInDoubt while the log is."""
        if self.doubt is not None:
            raise LogInDoubt(self.doubt)

    async def watch(self, tell: Callable[[], None]) -> None:
        """Looks again and again, until it is cancelled; `tell` is called when the log comes to be in doubt."""
        while True:
            was = self.doubt
            await self.look()
            if self.doubt is not None and was is None:
                tell()
            await asyncio.sleep(AGAIN_S if self.doubt else EVERY_S)

    async def look(self) -> str | None:
        """Looks once. -> the doubt. What cannot be reached leaves things as they were: it is missed elsewhere."""
        async with self._looking:
            await self._look_once()
        return self.doubt

    async def _look_once(self) -> None:
        try:
            connection = await open_connection(self._postgres_url, name="guard", command_timeout_s=COMMAND_S)
            try:
                with named_failures():
                    await self._look(connection)
                self.doubt = None
            finally:
                connection.terminate()
        except LogInDoubt as wrong:
            self.doubt = str(wrong)
        except NoCopyRead as unread:
            log.warning("could not compare the log", why=str(unread))
        except (StoreUnavailable, NoAnswer, NotAllowed, DatabaseUnavailable, DataRefused) as away:
            log.debug("could not look", why=str(away))

    async def _look(self, connection: "Connection") -> None:
        checkpoint = await generation.live(connection)
        if checkpoint is None:
            return
        archived = Archived(checkpoint.epoch, await archive.end(connection, checkpoint.epoch))
        if archived.end == 0:  # nothing has come from any log yet
            return
        await refuse_other_log(self._log, archived.epoch)
        state = await self._log.state()
        _refuse_broken(state, archived.end)
        async with comparing(self._log, state, connection, archived.epoch) as comparison:
            _refuse_unlike(await comparison.piece(archived.end - 1, archived.end))
            await self._compare_next(comparison, archived.end)

    async def _compare_next(self, comparison: Comparison, end: int) -> None:
        """Goes on with the round through the log, for as many events as one look may."""
        left = min(EVENTS_A_LOOK, end)
        while left > 0:
            began = time.monotonic()
            if self._compared >= end:
                self._compared = 0
            piece = await comparison.piece(self._compared, min(end, self._compared + left))
            _refuse_unlike(piece)
            left -= piece.upto - self._compared
            self._compared = piece.upto
            await asyncio.sleep((time.monotonic() - began) * (1 / SHARE - 1) if left > 0 else 0)


def _refuse_broken(state: LogState, end: int) -> None:
    """Raises LogInDoubt unless the log begins at 1, has no hole, and reaches this position; LogClosed where it is."""
    if state.is_closed:
        raise LogClosed
    the_log = told_copies([state.leader] if state.leader else [])
    if state.last < end:
        raise LogInDoubt(f"{the_log} ends at {state.last}: it has lost event {end}, which was archived")
    if not state.is_whole:
        raise LogInDoubt(f"{the_log} has holes: it ends at {state.last} and holds {state.count} events")


def _refuse_unlike(piece: Piece) -> None:
    """Raises LogInDoubt where a copy is wrong, though others are not: which one will answer a read is not known.

    A copy that could not be read is not in the piece: its server is away, and what is served comes from the others.
    """
    copies = piece.copies.items()
    if missing := {server: one.missing for server, one in copies if one.missing}:
        raise LogInDoubt(f"{_whose(missing)} cannot give {_where(missing)}, which was archived")
    if different := {server: one.different for server, one in copies if one.different}:
        raise LogInDoubt(f"{_whose(different)} holds another event than was archived at {_where(different)}")
    if unarchived := {server: one.unarchived for server, one in copies if one.unarchived}:
        raise LogInDoubt(f"the archive lacks {_where(unarchived)} of {_whose(unarchived)}")


def _whose(wrong: Mapping[str, list[int]]) -> str:
    return told_copies([server for server in wrong if server])


def _where(wrong: Mapping[str, list[int]]) -> str:
    return told_stretches(sorted({at for positions in wrong.values() for at in positions}))
