"""The archive as a restore needs it: proven whole, read back as events, and the place where events are set aside."""

import itertools
import json
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from chassis.jetstream_log import Entry
from contracts.subjects import WorkflowKey, storable, whose
from services.projector.archive import digest
from services.projector.log.restore.sorting import Newer
from services.projector.progress import Told

if TYPE_CHECKING:
    from collections.abc import Iterator

    import asyncpg

    from chassis.database import Connection

ROWS_A_READ = 500
"""Of the archive: some of them may have a megabyte."""

REPLACED_MAX = 8
"""Letters of a subject that may have been zero bytes; with more of them it is not worth trying every choice."""

SPAN = """
    SELECT position, subject, headers, body, sha256 FROM archive.events
    WHERE epoch = $1 AND position > $2 AND position <= $3 ORDER BY position LIMIT $4
"""

EXTENT = """
    SELECT count(*) AS count, coalesce(max(position), 0) AS "end" FROM archive.events
    WHERE epoch = $1 AND position > 0
"""

OF_WORKFLOWS = """
    SELECT position, subject, headers, body, sha256 FROM archive.events
    WHERE epoch = $1 AND (split_part(subject, '.', 2), split_part(subject, '.', 3)) IN
        (SELECT * FROM unnest($2::text[], $3::text[]))
    ORDER BY position
"""

SET_ASIDE = """
    INSERT INTO archive.set_aside (epoch, position, subject, headers, body, sha256, is_appended, why)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
"""

APPENDED = """
    SELECT position, subject, headers, body, sha256 FROM archive.set_aside
    WHERE epoch = $1 AND is_appended ORDER BY set_aside_at, position
"""


class ArchiveUnfit(Exception):
    """The archive cannot make a log whole: it has holes, or events that are not what they were. Nothing was changed."""


class Archive:
    """The archive of one log."""

    def __init__(self, connection: "Connection", epoch: str) -> None:
        self._connection, self.epoch = connection, epoch
        self._proven = 0

    async def proven_end(self, told: Told) -> int:
        """Its last position, after each of its events was proven to be what was archived.

        Raises ArchiveUnfit. What was proven once is not proven again.
        """
        found = await self._connection.fetch(EXTENT, self.epoch)
        count, end = int(found[0]["count"]), int(found[0]["end"])
        if count != end:
            raise ArchiveUnfit(f"the archive has holes: it ends at position {end:,} and holds {count:,} events")
        async for entries in self.entries(self._proven, end):
            self._proven = entries[-1].position
            told(self._proven, end)
        return end

    async def entries(self, after: int, upto: int) -> AsyncGenerator[list[Entry]]:
        """The archived events behind this position, some at a time. Raises ArchiveUnfit."""
        while after < upto:
            rows = await self._connection.fetch(SPAN, self.epoch, after, upto, ROWS_A_READ)
            if not rows or rows[-1]["position"] != after + len(rows):
                raise ArchiveUnfit(f"the archive has a hole behind position {after:,}")
            yield [as_stored(row) for row in rows]
            after = rows[-1]["position"]

    async def histories(self, keys: Collection[WorkflowKey]) -> dict[WorkflowKey, list[Entry]]:
        """The archived events of these workflows, in order. It reads the whole archive once."""
        if not keys:
            return {}
        found = await self._connection.fetch(
            OF_WORKFLOWS, self.epoch, [key.owner for key in keys], [key.workflow_id for key in keys]
        )
        histories: dict[WorkflowKey, list[Entry]] = {}
        for row in found:
            entry = as_stored(row)
            histories.setdefault(whose(entry.subject), []).append(entry)
        return histories

    async def appended(self) -> list[Entry]:
        """The events that an earlier restore was to append behind the archived ones, at the positions they had."""
        return [as_stored(row) for row in await self._connection.fetch(APPENDED, self.epoch)]

    async def set_aside(self, newer: Sequence[Newer]) -> None:
        """Keeps these events for good, whatever becomes of them. Safe to repeat."""
        async with self._connection.transaction():
            await self._connection.executemany(SET_ASIDE, [self._record(one) for one in newer])

    def _record(self, one: Newer) -> tuple[object, ...]:
        entry, headers = one.entry, json.dumps(dict(one.entry.headers), sort_keys=True)
        stored = (entry.position, storable(entry.subject), headers, entry.body, digest(entry))
        return (self.epoch, *stored, one.is_appended, storable(one.why or ""))

    async def others(self) -> Mapping[str, int]:
        """Other logs of which it holds something, with their last positions."""
        found = await self._connection.fetch(
            "SELECT epoch, max(position) AS last FROM archive.events WHERE epoch <> $1 GROUP BY epoch ORDER BY epoch",
            self.epoch,
        )
        return {row["epoch"]: row["last"] for row in found}


def as_stored(row: "asyncpg.Record") -> Entry:
    """The event as it stood in the log. Raises ArchiveUnfit where it does not have the hash that it was archived with.

    Postgres' text holds no zero byte: where its hash says that there was one, it comes back.
    """
    headers = json.loads(row["headers"])
    for subject in _subjects(row["subject"]):
        entry = Entry(row["position"], subject, headers, row["body"])
        if digest(entry) == row["sha256"]:
            return entry
    raise ArchiveUnfit(f"the archived event {row['position']:,} does not have the hash that it was archived with")


def _subjects(text: str) -> "Iterator[str]":
    places = [place for place, letter in enumerate(text) if letter == "\ufffd"][:REPLACED_MAX]
    for letters in itertools.product("\ufffd\0", repeat=len(places)):
        yield _with(text, zip(places, letters, strict=True))


def _with(text: str, changes: Iterable[tuple[int, str]]) -> str:
    letters = list(text)
    for place, letter in changes:
        letters[place] = letter
    return "".join(letters)
