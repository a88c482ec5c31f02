"""What a restore has to do: how far the log is intact, what comes back into it, and what becomes of newer events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chassis.jetstream_log import Entry, LogState
from contracts.subjects import whose
from services.projector.archive import digest
from services.projector.log.likeness import Comparison, ReadableLog, comparing
from services.projector.log.restore.archived import Archive
from services.projector.log.restore.sorting import Newer, essence, placed, sort_out
from services.projector.progress import Told

if TYPE_CHECKING:
    from chassis.database import Connection

NEWER_MAX = 200_000
"""Events that the log holds and the archive does not: they are kept in memory until they are set aside."""


class TooManyNewer(Exception):
    """The log holds more events that are not archived than can be sorted out at once. Nothing was changed."""


@dataclass(frozen=True)
class Plan:
    """What a log has to become: the archived events up to `end`, and behind them `tail`.

    `intact`: up to where it is that already. `newer`: what it holds besides.
    """

    epoch: str
    state: LogState
    end: int
    intact: int
    newer: Sequence[Newer]
    tail: Sequence[Entry]

    @property
    def last(self) -> int:
        """Where the log ends when it is restored."""
        return self.end + len(self.tail)

    @property
    def is_damaged(self) -> bool:
        """Is an event that was archived missing, or another one, before the log's own end? In one copy is enough."""
        return self.intact < min(self.end, self.state.last)

    @property
    def is_filled(self) -> bool:
        """Is the log what it has to become?"""
        return self.intact == self.last and self.keeps_stream

    @property
    def is_needless(self) -> bool:
        """Does the log hold every archived event, and is it open? What stands behind them is only not archived yet."""
        return self.intact >= self.end and self.state.is_whole and not self.state.is_closed

    @property
    def keeps_stream(self) -> bool:
        """Does it only lack its end, so that this can be appended?"""
        return self.state.last == self.intact and self.state.is_whole


async def plan_of(
    log: ReadableLog, state: LogState, archive: Archive, connection: "Connection", told: tuple[Told, Told]
) -> Plan:
    """Compares the whole log with the archive. `told` hears of the archive's being proven, then of the comparison.

    Raises ArchiveUnfit, TooManyNewer, StoreUnavailable.
    """
    end = await archive.proven_end(told[0])
    async with comparing(log, state, connection, archive.epoch) as comparison:
        intact, found = await _compared(log, state, comparison, end, told[1])
    appended = await archive.appended()
    known = {essence(entry) for entry in appended}
    unsorted = [*appended, *(entry for entry in found if essence(entry) not in known)]
    histories = await archive.histories({whose(entry.subject) for entry in unsorted})
    archived = {essence(one) for history in histories.values() for one in history}
    taken = frozenset(one.subject for history in histories.values() for one in history)
    newer = sort_out([one for one in unsorted if essence(one) not in archived], histories, taken)
    lasts = {key: history[-1].position for key, history in histories.items()}
    tail = placed([one.entry for one in newer if one.is_appended], end, lasts)
    if intact == end:
        intact += _alike(found, tail)
    return Plan(archive.epoch, state, end, intact, newer, tail)


async def _compared(
    log: ReadableLog, state: LogState, comparison: Comparison, end: int, told: Told
) -> tuple[int, list[Entry]]:
    """-> up to where the log is what was archived, and every entry of it that is not"""
    after, intact, found = 0, -1, list[Entry]()
    while after < min(end, state.last):
        piece = await comparison.piece(after, min(end, state.last))
        if intact < 0 and piece.wrong:
            intact = piece.wrong[0] - 1
        found += [piece.entries[position] for position in piece.foreign]
        _refuse_too_many(found)
        after = piece.upto
        told(after, state.last)
    while after < state.last:
        entries = await log.read(after, min(256, state.last - after))
        entries = [entry for entry in entries if entry.position <= state.last]
        found += entries
        _refuse_too_many(found)
        after = entries[-1].position if entries else state.last
        told(after, state.last)
    return (min(end, state.last) if intact < 0 else intact), found


def _refuse_too_many(found: Sequence[Entry]) -> None:
    if len(found) > NEWER_MAX:
        raise TooManyNewer(
            f"the log holds more than {NEWER_MAX:,} events that are not archived. It is not the log that was archived, "
            "or the projector did not run for long"
        )


def _alike(found: Sequence[Entry], tail: Sequence[Entry]) -> int:
    """How many entries of the tail stand in the log already, from its first on."""
    there = {entry.position: digest(entry) for entry in found}
    alike = 0
    for entry in tail:
        if there.get(entry.position) != digest(entry):
            break
        alike += 1
    return alike
