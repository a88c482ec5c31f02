"""The log beside its archive, a piece at a time: which events are missing, different, or not archived.

A server that finds a message of its store damaged answers as if there were none. So what is read is never taken for all
that there is: each position has to be there, with the hash that was archived. Of a log with several copies each is
compared by itself.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from chassis.jetstream_log import BATCH, Entry, JetStreamLog, LogState
from chassis.jetstream_store import LAG_PAUSES_S
from chassis.log_copies import LogCopies, Stretch, log_copies
from services.projector import archive

if TYPE_CHECKING:
    from chassis.database import Connection


class ReadableLog(Protocol):
    """Whatever reads entries of the log in order of position."""

    async def read(self, after: int, most: int) -> list[Entry]:
        """The entries behind this position; none at the end."""
        ...


@dataclass(frozen=True)
class Differences:
    """The positions at which one copy of the log is not what was archived; all lists rise."""

    missing: list[int] = field(default_factory=list[int])
    different: list[int] = field(default_factory=list[int])
    unarchived: list[int] = field(default_factory=list[int])

    def __bool__(self) -> bool:
        return bool(self.missing or self.different or self.unarchived)

    def add(self, more: "Differences") -> None:
        """Takes in those of what stands behind."""
        self.missing.extend(more.missing)
        self.different.extend(more.different)
        self.unarchived.extend(more.unarchived)


@dataclass(frozen=True)
class Piece:
    """Some neighbouring positions of the log, compared with the archive. `entries`: where copies hold different ones,
    one that is not archived.

    `copies`: what is wrong in each copy, by the name of its server; the only copy has the name "".
    """

    upto: int
    copies: Mapping[str, Differences]
    entries: Mapping[int, Entry]

    @property
    def foreign(self) -> list[int]:
        """Every position at which a copy holds something that was not archived there."""
        return sorted({at for one in self.copies.values() for at in (*one.different, *one.unarchived)})

    @property
    def wrong(self) -> list[int]:
        """Every position that is not as it should be, in whichever copy."""
        return sorted({*self.foreign, *(at for one in self.copies.values() for at in one.missing)})


class Comparison:
    """Compares the log, in each of its copies, with the archive of the log of this epoch, piece after piece.

    `copies`: reads each of them, where there are several.
    """

    def __init__(
        self, log: ReadableLog, connection: "Connection", epoch: str, *, copies: LogCopies | None = None
    ) -> None:
        self._log, self._connection, self._epoch, self._copies = log, connection, epoch, copies
        self._is_patient = True

    @property
    def away(self) -> Mapping[str, int]:
        """The servers whose copies cannot be compared now, each with the position up to which that was done."""
        return self._copies.away if self._copies else {}

    async def piece(self, after: int, end: int) -> Piece:
        """Compares what stands right behind this position, up to `end` at most. Raises StoreUnavailable."""
        stretch = await self._stretch(after, min(end, after + BATCH))
        archived = await archive.digests(self._connection, self._epoch, after + 1, stretch.upto)
        copies = {
            server: _differences(entries, archived, range(after + 1, stretch.upto + 1))
            for server, entries in stretch.copies.items()
        }
        entries = {one.position: one for entries in stretch.copies.values() for one in entries}
        for server, wrong in copies.items():
            foreign = {*wrong.different, *wrong.unarchived}
            entries |= {one.position: one for one in stretch.copies[server] if one.position in foreign}
        return Piece(stretch.upto, copies, entries)

    async def _stretch(self, after: int, end: int) -> Stretch:
        if self._copies:
            return await self._copies.read(after, end)
        found = await self._read(after, end - after)
        # A read may bring less than there is, and what it brings may lie behind a hole.
        upto = min(end, found[-1].position if found else end)
        return Stretch(upto, {"": [one for one in found if one.position <= upto]})

    async def _read(self, after: int, most: int) -> list[Entry]:
        """Once in a comparison a server that answers with nothing is waited for: it may lag."""
        found = await self._log.read(after, most)
        if not found and self._is_patient:
            for pause in LAG_PAUSES_S:
                await asyncio.sleep(pause)
                if found := await self._log.read(after, most):
                    break
            self._is_patient = bool(found)
        return found


@asynccontextmanager
async def comparing(
    log: ReadableLog, state: LogState, connection: "Connection", epoch: str
) -> AsyncGenerator[Comparison]:
    """Compares the log that stands so, each of its copies by itself where it has several. Raises StoreUnavailable.

    Of a closed log its leader's copy alone is compared.
    """
    if state.copies > 1 and isinstance(log, JetStreamLog):
        async with log_copies(log.connection, state) as copies:
            yield Comparison(log, connection, epoch, copies=copies)
    else:
        yield Comparison(log, connection, epoch)


def _differences(entries: Sequence[Entry], archived: Mapping[int, bytes], positions: range) -> Differences:
    held = {one.position for one in entries}
    return Differences(
        missing=[at for at in positions if at not in held],
        different=[
            one.position
            for one in entries
            if one.position in archived and archive.digest(one) != archived[one.position]
        ],
        unarchived=[one.position for one in entries if one.position not in archived],
    )
