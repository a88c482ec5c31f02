"""The log beside its archive, a piece at a time: which events are missing, different, or not archived.

A server that finds a message of its store damaged answers as if there were none. So what is read is never taken for all
that there is: each position has to be there, with the hash that was archived.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from chassis.jetstream_log import BATCH, Entry
from chassis.jetstream_store import LAG_PAUSES_S
from services.projector import archive

if TYPE_CHECKING:
    from chassis.database import Connection


class ReadableLog(Protocol):
    """Whatever reads entries of the log in order of position."""

    async def read(self, after: int, most: int) -> list[Entry]:
        """The entries behind this position; none at the end."""
        ...


@dataclass(frozen=True)
class Piece:
    """Some neighbouring positions of the log, compared with the archive; all lists rise."""

    upto: int
    missing: list[int]
    different: list[int]
    unarchived: list[int]
    entries: Mapping[int, Entry]

    @property
    def is_whole(self) -> bool:
        """Is every event there, and the one that was archived?"""
        return not (self.missing or self.different or self.unarchived)

    @property
    def wrong(self) -> list[int]:
        """Every position that is not as it should be."""
        return sorted([*self.missing, *self.different, *self.unarchived])


READS_A_COPY = 4
"""Of each piece, where the log has several copies. Whichever of them answers is chosen by chance, each time anew: of
nats-server 2.15.1 a third of the reads through any of three nodes came from each. So 12 reads of three copies miss a
damaged one in 8 of 1,000 cases, and the next round has another chance."""


def reads_of(copies: int) -> int:
    """How often a piece of a log with so many copies is read."""
    return 1 if copies == 1 else READS_A_COPY * copies


class Comparison:
    """Compares the log, in each of its copies, with the archive of the log of this epoch, piece after piece."""

    def __init__(self, log: ReadableLog, connection: "Connection", epoch: str, *, copies: int) -> None:
        self._log, self._connection, self._epoch, self._reads = log, connection, epoch, reads_of(copies)
        self._is_patient = True

    async def piece(self, after: int, end: int) -> Piece:
        """Compares what stands right behind this position, up to `end` at most. Raises StoreUnavailable.

        What is wrong in one copy is wrong, whatever the others hold.
        """
        piece = await self._piece(after, end)
        for _ in range(self._reads - 1):
            piece = _both(piece, await self._piece(after, piece.upto))
        return piece

    async def _piece(self, after: int, end: int) -> Piece:
        most = min(BATCH, end - after)
        found = await self._read(after, most)
        # A read may bring less than there is, and what it brings may lie behind a hole.
        upto = min(after + most, found[-1].position if found else after + most)
        entries = {one.position: one for one in found if one.position <= upto}
        archived = await archive.digests(self._connection, self._epoch, after + 1, upto)
        positions = range(after + 1, upto + 1)
        return Piece(
            upto,
            missing=[one for one in positions if one not in entries],
            different=[one for one in entries if one in archived and archive.digest(entries[one]) != archived[one]],
            unarchived=[one for one in entries if one not in archived],
            entries=entries,
        )

    async def _read(self, after: int, most: int) -> list[Entry]:
        """Once in a comparison a replica that answers with nothing is waited for: it may lag."""
        found = await self._log.read(after, most)
        if not found and self._is_patient:
            for pause in LAG_PAUSES_S:
                await asyncio.sleep(pause)
                if found := await self._log.read(after, most):
                    break
            self._is_patient = bool(found)
        return found


def _both(one: Piece, other: Piece) -> Piece:
    """The same positions, read twice: all that was wrong in either."""
    return Piece(
        one.upto,
        missing=sorted({*one.missing, *other.missing}),
        different=sorted({*one.different, *other.different}),
        unarchived=sorted({*one.unarchived, *other.unarchived}),
        entries={**other.entries, **one.entries},
    )
