"""A generation of read tables: a schema `read_<n>`, complete in itself, with a checkpoint of its own.

One generation is live: readers see it through the views in `read`, and the projector keeps it. A rebuild makes the next
one beside it, and then the views change over in one transaction.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from services.projector.tables import TABLES

if TYPE_CHECKING:
    from chassis.database import Connection

SHAPE = hashlib.sha256("\n".join(table.sql for table in TABLES).encode()).hexdigest()[:16]
"""Of the tables as this code knows them. Code never writes to tables of another shape."""


class WrongShape(Exception):
    """The live tables were made by another version of Pressroom: `./run rebuild` makes them anew."""


@dataclass(frozen=True)
class Checkpoint:
    """How far a generation has come: up to which position, of which log."""

    generation: int
    shape: str
    epoch: str
    position: int

    @property
    def schema(self) -> str:
        """Where its tables are."""
        return schema_of(self.generation)

    def moved_to(self, position: int) -> "Checkpoint":
        """The same, when the events up to this position have been applied."""
        return replace(self, position=position)


def schema_of(generation: int) -> str:
    """The schema of this generation's tables."""
    return f"read_{int(generation)}"


LIVE = """
    SELECT generation, shape, epoch, position FROM projection.live JOIN projection.checkpoints USING (generation)
"""

CHECKPOINT_VIEW = """
    CREATE VIEW read.checkpoint AS
    SELECT generation, epoch, position, applied, held, moved_at
    FROM projection.live JOIN projection.checkpoints USING (generation)
"""

QUARANTINE_VIEW = """
    CREATE VIEW read.quarantine AS
    SELECT owner, workflow_id, position, subject, error, events, held_at
    FROM projection.live JOIN projection.quarantine USING (generation)
"""


async def live(connection: "Connection") -> Checkpoint | None:
    """The live generation's checkpoint; None before there is one."""
    row = await connection.fetchrow(LIVE)
    return Checkpoint(**row) if row else None


async def locked_live(connection: "Connection", *, change_over: bool = False) -> int | None:
    """The live generation, which stays live until the open transaction ends. -> None before there is one

    `change_over`: also waits for all others that hold it so, and keeps them waiting.
    """
    lock = "UPDATE" if change_over else "SHARE"
    return await connection.fetchval(f"SELECT generation FROM projection.live FOR {lock}")  # noqa: S608 - our own word


async def make(connection: "Connection", generation: int, epoch: str) -> Checkpoint:
    """A new generation with empty tables."""
    schema = schema_of(generation)
    async with connection.transaction():
        await connection.execute(f"CREATE SCHEMA {schema}")
        await connection.execute(f"SET LOCAL search_path TO {schema}, pg_catalog")
        for table in TABLES:
            await connection.execute(table.sql)
        await connection.execute(
            "INSERT INTO projection.checkpoints (generation, shape, epoch) VALUES ($1, $2, $3)",
            generation,
            SHAPE,
            epoch,
        )
    return Checkpoint(generation, SHAPE, epoch, 0)


async def begin_with(connection: "Connection", checkpoint: Checkpoint, epoch: str) -> Checkpoint:
    """The checkpoint of tables into which nothing has come yet, for this log."""
    await connection.execute(
        "UPDATE projection.checkpoints SET epoch = $2 WHERE generation = $1 AND position = 0",
        checkpoint.generation,
        epoch,
    )
    return replace(checkpoint, epoch=epoch)


async def analyse(connection: "Connection", generation: int) -> None:
    """Tells Postgres' planner about freshly filled tables; else the first queries would be planned for empty ones."""
    for table in TABLES:
        await connection.execute(f"ANALYZE {schema_of(generation)}.{table.name}")


async def go_live(connection: "Connection", generation: int) -> None:
    """Has readers see this generation from the end of the open transaction on.

    The views are changed in one order, in which readers name them as well: so the two never wait for each other.
    """
    await connection.execute(
        "INSERT INTO projection.live (generation) VALUES ($1) ON CONFLICT (is_only) DO UPDATE SET generation = $1",
        generation,
    )
    for table in TABLES:
        await connection.execute(f"DROP VIEW IF EXISTS read.{table.name}")
        await connection.execute(
            f"CREATE VIEW read.{table.name} AS SELECT * FROM {schema_of(generation)}.{table.name}"  # noqa: S608 - a number
        )
    for name, view in (("checkpoint", CHECKPOINT_VIEW), ("quarantine", QUARANTINE_VIEW)):
        await connection.execute(f"DROP VIEW IF EXISTS read.{name}")
        await connection.execute(view)


async def drop(connection: "Connection", generation: int) -> None:
    """Removes a generation that is not live."""
    async with connection.transaction():
        await connection.execute(f"DROP SCHEMA IF EXISTS {schema_of(generation)} CASCADE")
        await connection.execute("DELETE FROM projection.checkpoints WHERE generation = $1", generation)


async def others(connection: "Connection") -> list[int]:
    """The generations that are not live: what an unfinished rebuild has left."""
    rows = await connection.fetch(
        "SELECT generation FROM projection.checkpoints EXCEPT SELECT generation FROM projection.live ORDER BY 1"
    )
    return [row["generation"] for row in rows]
