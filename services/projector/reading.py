"""Reading the log behind a position, and making sure each time that it is still the log whose events were applied."""

from collections.abc import Sequence

from chassis.jetstream_log import BATCH, Entry, JetStreamLog, LogClosed
from services.projector.archive import LogInDoubt, digest
from services.projector.generation import Checkpoint


class OtherLog(LogInDoubt):
    """The log has another id than the one that the tables were built from."""

    def __init__(self, this: str, other: str) -> None:
        super().__init__(
            f"this log ({this}) is not the one that the read tables were built from ({other}). Bring that log back, "
            "or build the tables from this one with `./run rebuild --adopt-log`"
        )


class FaithfulReader:
    """Reads on behind a checkpoint. `last`: the digest of the event at the checkpoint, None for one at position 0.

    Each read begins with the event that was applied last: a log that was rolled back, replaced or damaged under a
    running projector shows itself there, and costs no request of its own.
    """

    def __init__(self, log: JetStreamLog, checkpoint: Checkpoint, last: bytes | None) -> None:
        self._log, self._epoch = log, checkpoint.epoch
        self._position, self._last = checkpoint.position, last

    async def read(self, most: int = BATCH) -> list[Entry]:
        """The entries right behind; none at the end. Raises LogInDoubt, StoreUnavailable."""
        if self._position == 0:
            await refuse_other_log(self._log, self._epoch)
            entries = await self._log.read(0, most)
        else:
            entries = await self._read_with_last(most)
        refuse_holes(self._position, entries)
        return entries

    def applied(self, entries: Sequence[Entry]) -> None:
        """These have been applied: the next read goes on behind them."""
        self._position, self._last = entries[-1].position, digest(entries[-1])

    async def _read_with_last(self, most: int) -> list[Entry]:
        found = await self._log.read(self._position - 1, most + 1)
        if not found or found[0].position != self._position:
            await refuse_lost(self._log, self._position)
            return []
        if digest(found[0]) != self._last:
            raise LogInDoubt(f"the log's event {self._position} is not the one that was applied")
        return found[1:]


async def refuse_other_log(log: JetStreamLog, epoch: str) -> None:
    """Raises OtherLog unless the log has this id."""
    found = await log.epoch()
    if found != epoch:
        raise OtherLog(found, epoch)


async def refuse_lost(log: JetStreamLog, position: int) -> None:
    """For a read that lacks an event: raises LogInDoubt unless it came from a replica that only lags, or LogClosed."""
    state = await log.state()
    if state.is_closed:
        raise LogClosed
    if state.last < position:
        raise LogInDoubt(f"the log ends at {state.last}: it has lost event {position}, which is in the read tables")
    if not state.is_whole:
        raise LogInDoubt(f"the log has holes: it ends at {state.last} and holds {state.count} events")


def refuse_holes(position: int, entries: Sequence[Entry]) -> None:
    """Raises LogInDoubt unless the entries stand right behind this position, each behind the one before."""
    for wanted, entry in enumerate(entries, start=position + 1):
        if entry.position != wanted:
            raise LogInDoubt(f"the log has a hole: event {wanted} is missing")
