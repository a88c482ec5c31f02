"""The read tables behind a gateway under test: made as the projector makes them, and filled by hand."""

import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from chassis.database import open_connection
from contracts.services import PROJECTOR
from local.postgres import ADMIN
from services.gateway.desk import OWNER
from services.projector import generation as generations
from services.projector.setup import set_up
from services.projector.tables import TABLES as DECLARED

if TYPE_CHECKING:
    from chassis.database import Connection

TABLES = tuple(table.name for table in DECLARED)
LONG_AGO = datetime(2026, 1, 1, 12, tzinfo=UTC)

NOTHING_USED = {"input_tokens": 0, "output_tokens": 0, "calls": 0, "cost_usd": 0.0, "cost_known": True}

UrlOf = Callable[[str], str]
"""Where a role gets into Postgres."""


class ReadTables:
    """One database's read tables. What it adds stands at the position after the last one, unless it is told another."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.generation, self.position = 1, 0

    async def add(self, table: str, row: dict[str, Any]) -> dict[str, Any]:
        """Adds a row, and moves the checkpoint there. -> the row"""
        columns, places = ", ".join(row), ", ".join(f"${number}" for number in range(1, len(row) + 1))
        await self.connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", *row.values())  # noqa: S608
        await self.reach(max(self.position, row["position"]))
        return row

    async def add_workflow(self, **told: Any) -> dict[str, Any]:
        position = told.get("requested_position", self.position + 1)
        moment = LONG_AGO + timedelta(seconds=position)
        row = {
            "owner": OWNER,
            "workflow_id": uuid.uuid4().hex,
            "topic": "bees",
            "research": False,
            "platforms": ["linkedin"],
            "brief": {"tone": None, "audience": None, "language": None, "length": None},
            "status": "open",
            "run": 1,
            "revision": 1,
            "requested_position": position,
            "position": position,
            "requested_at": moment,
            "updated_at": moment,
            "works": [],
            "usage": NOTHING_USED,
        }
        return await self.add(f"read_{self.generation}.workflows", row | told)

    async def add_failed(self, **told: Any) -> dict[str, Any]:
        """Adds a workflow whose run failed; a resume makes sense."""
        error = {"work": "blog", "code": "quota-used-up", "message": "The quota is used up.", "retryable": True}
        closed_at = LONG_AGO + timedelta(hours=1)
        return await self.add_workflow(**{"status": "failed", "error": error, "closed_at": closed_at} | told)

    async def add_blog_post(self, **told: Any) -> dict[str, Any]:
        row: dict[str, Any] = self._artefact() | {"title": "On Bees", "markdown": "# On Bees\n\nThey fly.", "cited": []}
        return await self.add(f"read_{self.generation}.blog_posts", row | {"written_at": LONG_AGO} | told)

    async def add_social_media_post(self, **told: Any) -> dict[str, Any]:
        row = self._artefact() | {"platform": "linkedin", "text": "Bees!", "length": 5, "written_at": LONG_AGO}
        return await self.add(f"read_{self.generation}.social_media_posts", row | told)

    async def add_image(self, **told: Any) -> dict[str, Any]:
        row = self._artefact() | {
            "key": "images/a.png",
            "sha256": "a" * 64,
            "bytes": 1_000,
            "width": 16,
            "height": 9,
            "content_type": "image/png",
            "prompt": "Draw bees.",
            "alt_text": "Bees",
            "drawn_at": LONG_AGO,
        }
        return await self.add(f"read_{self.generation}.images", row | told)

    async def add_source(self, **told: Any) -> dict[str, Any]:
        row = self._artefact() | {"number": 1, "url": "https://bees.example", "title": "Bees", "retrieved_at": LONG_AGO}
        del row["id"]
        return await self.add(f"read_{self.generation}.sources", row | told)

    async def hold(self, workflow_id: str, **told: Any) -> dict[str, Any]:
        """Puts a workflow into quarantine."""
        row: dict[str, Any] = {
            "generation": self.generation,
            "owner": OWNER,
            "workflow_id": workflow_id,
            "position": self.position + 1,
            "subject": "a subject",
            "error": "position 2: it cannot be read",
            "events": 1,
        }
        return await self.add("projection.quarantine", row | told)

    async def reach(self, position: int) -> None:
        """Moves the checkpoint there."""
        self.position = position
        await self.connection.execute(
            "UPDATE projection.checkpoints SET position = $1 WHERE generation = $2", position, self.generation
        )

    async def clear(self) -> None:
        """Leaves the tables empty, at position 0."""
        await self.connection.execute(f"TRUNCATE {', '.join(f'read_{self.generation}.{table}' for table in TABLES)}")
        await self.connection.execute("DELETE FROM projection.quarantine")
        await self.reach(0)

    async def make_generation(self, generation: int) -> None:
        """Makes the tables of a generation, empty, which nobody sees yet."""
        await generations.make(self.connection, generation, "an epoch")

    async def change_over(self, generation: int) -> None:
        """Has readers see this generation, as a rebuild does at its end."""
        async with self.connection.transaction():
            await generations.go_live(self.connection, generation)
        self.generation = generation

    async def remove_views(self) -> None:
        """Leaves readers with nothing, as before the first start."""
        for view in (*TABLES, "checkpoint", "quarantine"):
            await self.connection.execute(f"DROP VIEW read.{view}")

    def _artefact(self) -> dict[str, Any]:
        """What artefacts have in common."""
        return {
            "id": str(uuid.uuid4()),
            "owner": OWNER,
            "workflow_id": uuid.uuid4().hex,
            "edition": 1,
            "position": self.position + 1,
        }


async def set_up_rooms(url_of: UrlOf) -> None:
    """The set-up step: who may enter where."""
    await set_up(url_of(ADMIN))


@asynccontextmanager
async def read_tables(url_of: UrlOf) -> AsyncGenerator[ReadTables]:
    """Tables whose rooms are set up already; made when they are missing."""
    connection = await open_connection(url_of(PROJECTOR), name="test", command_timeout_s=20)
    try:
        tables = ReadTables(connection)
        if not await connection.fetchval("SELECT 1 FROM pg_namespace WHERE nspname = 'read_1'"):
            await tables.make_generation(1)
        await tables.change_over(1)
        await tables.clear()
        yield tables
    finally:
        connection.terminate()
