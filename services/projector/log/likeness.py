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


class Comparison:
    """Compares one copy of the log (a node's) with the archive of the log of this epoch, piece after piece."""

    def __init__(self, log: ReadableLog, connection: "Connection", epoch: str) -> None:
        self._log, self._connection, self._epoch = log, connection, epoch
        self._is_patient = True

    async def piece(self, after: int, end: int) -> Piece:
        """Compares what stands right behind this position, up to `end` at most. Raises StoreUnavailable."""
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
