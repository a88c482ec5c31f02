"""The snapshot: the archive, the projector's books and the live tables, all as they stand at one moment."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncpg.exceptions import PostgresError

from chassis.database import AWAY, named_failures
from contracts.subjects import WorkflowKey
from services.projector.generation import schema_of
from services.projector.verify.books import Books, Hold
from services.projector.verify.slow_fold.history import Row

if TYPE_CHECKING:
    from chassis.database import Connection

KEYS_A_READ = 5_000

GENERATED = "search"
"""The one column that Postgres itself keeps; the slow fold does not know it."""


class CannotBeChecked(Exception):
    """Whether the tables agree with the log cannot be told at the moment."""


@asynccontextmanager
async def snapshot_of(connection: "Connection") -> AsyncGenerator["Snapshot"]:
    """Everything that is read meanwhile is of one moment. Raises CannotBeChecked where there are no tables yet."""
    transaction = connection.transaction(isolation="repeatable_read", readonly=True)
    with named_failures():
        await transaction.start()
    try:
        yield Snapshot(connection, await _books(connection))
    finally:
        with suppress(*AWAY, PostgresError):  # a snapshot leaves nothing behind, however it ends
            await transaction.rollback()


@dataclass(frozen=True)
class Snapshot:
    """What the database holds. The archive is that of the log from which the live tables were built."""

    connection: "Connection"
    books: Books

    async def archived(self, positions: range) -> dict[int, Row]:
        """The archived messages at these positions."""
        found = await _fetch(
            self.connection,
            "SELECT position, subject, headers, body, sha256 FROM archive.events"
            " WHERE epoch = $1 AND position BETWEEN $2 AND $3",
            self.books.epoch,
            positions[0],
            positions[-1],
        )
        return {row["position"]: row for row in found}

    async def archived_beyond(self, *, most: int) -> list[int]:
        """Positions of archived messages that no log up to the tables' position can have."""
        found = await _fetch(
            self.connection,
            "SELECT position FROM archive.events WHERE epoch = $1 AND (position > $2 OR position < 1)"
            " ORDER BY position LIMIT $3",
            self.books.epoch,
            self.books.position,
            most,
        )
        return [row["position"] for row in found]

    async def rows(self, table: str, keys: Sequence[WorkflowKey]) -> dict[WorkflowKey, list[Row]]:
        """The rows of these workflows."""
        found = await _fetch(
            self.connection,
            f"SELECT t.* FROM {self._place(table)} t"  # noqa: S608 - the schema is made of a number, the table our own
            " JOIN unnest($1::text[], $2::text[]) AS k (owner, workflow_id) USING (owner, workflow_id)",
            [key.owner for key in keys],
            [key.workflow_id for key in keys],
        )
        by_key: dict[WorkflowKey, list[Row]] = {}
        for row in found:
            row.pop(GENERATED, None)
            by_key.setdefault(_key_of(row), []).append(row)
        return by_key

    async def keys(self, table: str) -> AsyncGenerator[WorkflowKey]:
        """Every workflow that has a row in this table."""
        last = WorkflowKey("", "")
        while True:
            found = await _fetch(
                self.connection,
                f"SELECT DISTINCT owner, workflow_id FROM {self._place(table)}"  # noqa: S608 - as above
                " WHERE (owner, workflow_id) > ($1, $2) ORDER BY owner, workflow_id LIMIT $3",
                *last,
                KEYS_A_READ,
            )
            for row in found:
                yield _key_of(row)
            if len(found) < KEYS_A_READ:
                return
            last = _key_of(found[-1])

    def _place(self, table: str) -> str:
        return f"{schema_of(self.books.generation)}.{table}"


async def _books(connection: "Connection") -> Books:
    live = await _fetch(
        connection,
        "SELECT generation, epoch, position, applied, held"
        " FROM projection.live JOIN projection.checkpoints USING (generation)",
    )
    if not live:
        raise CannotBeChecked("There are no read tables yet: no projector has run.")
    return Books(**live[0], quarantine=await _quarantine(connection, live[0]["generation"]))


async def _quarantine(connection: "Connection", generation: int) -> dict[WorkflowKey, Hold]:
    found = await _fetch(
        connection,
        "SELECT owner, workflow_id, position, subject, error, events"
        " FROM projection.quarantine WHERE generation = $1 ORDER BY position",
        generation,
    )
    return {_key_of(row): Hold(row["position"], row["subject"], row["error"], row["events"]) for row in found}


async def _fetch(connection: "Connection", sql: str, *arguments: object) -> list[Row]:
    with named_failures():
        return [dict(row) for row in await connection.fetch(sql, *arguments)]


def _key_of(row: Row) -> WorkflowKey:
    return WorkflowKey(row["owner"], row["workflow_id"])
