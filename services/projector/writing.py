"""One batch in one transaction: the rows, the archive, the held workflows, and the checkpoint that moves on.

The checkpoint is locked and compared first, and moves in the same transaction. So two projectors may run at once, and
either may die at any moment: each event is applied once.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from chassis.database import DataRefused, named_failures
from chassis.jetstream_log import Entry
from contracts.subjects import WorkflowKey
from services.projector import archive, generation
from services.projector.batch import Batch, Held, Step, fold, steps, workflows_in
from services.projector.generation import Checkpoint
from services.projector.table import Table
from services.projector.tables import TABLES

if TYPE_CHECKING:
    from chassis.database import Connection

MOVE = """
    UPDATE projection.checkpoints SET position = $2, applied = applied + $3, held = held + $4, moved_at = now()
    WHERE generation = $1
"""

HELD = """
    SELECT owner, workflow_id, position, subject, error FROM projection.quarantine
    WHERE generation = $1 AND (owner, workflow_id) IN (SELECT * FROM unnest($2::text[], $3::text[]))
"""

HOLD = """
    INSERT INTO projection.quarantine (generation, owner, workflow_id, position, subject, error, events)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (generation, owner, workflow_id) DO UPDATE SET events = quarantine.events + $7
"""


log = structlog.get_logger("projector")


class Overtaken(Exception):
    """Another projector applied this batch first, or the live tables were changed over: read the checkpoint again."""


async def apply(
    connection: "Connection", checkpoint: Checkpoint, entries: Sequence[Entry], *, while_live: bool
) -> Checkpoint:
    """Applies entries that stand right behind the checkpoint. -> the checkpoint behind them

    Where the database can not store one of them, they are applied one by one, so that only the bad one's workflow is
    held. `while_live`: only as long as these are the tables that readers see. Raises Overtaken, LogInDoubt,
    DatabaseUnavailable, DatabaseNotSetUp.
    """
    taken = steps(entries)
    try:
        return await _write_batch(connection, checkpoint, taken, {}, while_live=while_live)
    except DataRefused as refused:
        if len(taken) == 1:
            refusals = {entries[0].position: str(refused)}
            return await _write_batch(connection, checkpoint, taken, refusals, while_live=while_live)
        for entry in entries:
            checkpoint = await apply(connection, checkpoint, [entry], while_live=while_live)
        return checkpoint


async def _write_batch(
    connection: "Connection",
    checkpoint: Checkpoint,
    taken: Sequence[Step],
    refused: Mapping[int, str],
    *,
    while_live: bool,
) -> Checkpoint:
    """One batch in one transaction. Raises DataRefused for one that can not be stored."""
    began = time.monotonic()
    with named_failures():
        async with connection.transaction():
            if while_live and await generation.locked_live(connection) != checkpoint.generation:
                raise Overtaken("other tables are live now")
            await _lock(connection, checkpoint)
            batch = await _folded(connection, checkpoint, taken, refused)
            await _write(connection, checkpoint, taken, batch)
    _tell(batch, taken, time.monotonic() - began)
    return checkpoint.moved_to(taken[-1].entry.position)


async def _write(connection: "Connection", checkpoint: Checkpoint, taken: Sequence[Step], batch: Batch) -> None:
    await write_rows(connection, checkpoint, batch)
    await hold(connection, checkpoint, batch.held)
    await archive.keep(connection, checkpoint.epoch, [step.entry for step in taken])
    last = taken[-1].entry.position
    await connection.execute(MOVE, checkpoint.generation, last, batch.applied, batch.left_out)


async def _lock(connection: "Connection", checkpoint: Checkpoint) -> None:
    """Holds the checkpoint: another projector waits here, and finds then that it has moved. Raises Overtaken."""
    position = await connection.fetchval(
        "SELECT position FROM projection.checkpoints WHERE generation = $1 AND epoch = $2 FOR UPDATE",
        checkpoint.generation,
        checkpoint.epoch,
    )
    if position != checkpoint.position:
        raise Overtaken(f"the checkpoint is at {position}, no more at {checkpoint.position}")


async def _folded(
    connection: "Connection", checkpoint: Checkpoint, taken: Sequence[Step], refused: Mapping[int, str]
) -> Batch:
    keys = list(workflows_in(taken))
    rows = await rows_so_far(connection, checkpoint, keys)
    return fold(taken, TABLES, rows, await held_of(connection, checkpoint, keys), refused)


async def rows_so_far(
    connection: "Connection", checkpoint: Checkpoint, keys: Sequence[WorkflowKey]
) -> dict[WorkflowKey, Any]:
    """The workflows' own rows, of the table that events change."""
    rows: dict[WorkflowKey, Any] = {}
    for table in TABLES:
        if table.is_changed:
            found = await connection.fetch(_select(checkpoint.schema, table), *_columns_of(keys))
            rows.update({WorkflowKey(one["owner"], one["workflow_id"]): table.row(**one) for one in found})
    return rows


async def held_of(
    connection: "Connection", checkpoint: Checkpoint, keys: Sequence[WorkflowKey]
) -> dict[WorkflowKey, Held]:
    """Those of these workflows that are held."""
    found = await connection.fetch(HELD, checkpoint.generation, *_columns_of(keys))
    return {
        WorkflowKey(one["owner"], one["workflow_id"]): Held(one["position"], one["subject"], one["error"])
        for one in found
    }


async def hold(connection: "Connection", checkpoint: Checkpoint, held: Mapping[WorkflowKey, Held]) -> None:
    """Writes down that these workflows are held, in the transaction that is open."""
    await connection.executemany(
        HOLD,
        [
            (checkpoint.generation, *key, one.position, one.subject, one.error, one.events)
            for key, one in held.items()
            if one.events
        ],
    )


async def write_rows(connection: "Connection", checkpoint: Checkpoint, batch: Batch) -> None:
    """The rows of a batch, in the transaction that is open."""
    for table in TABLES:
        await _upsert(connection, checkpoint.schema, table, batch.rows.get(table.name, {}).values())


async def remove_rows(connection: "Connection", checkpoint: Checkpoint, key: WorkflowKey) -> None:
    """Removes all rows of a workflow, in the transaction that is open."""
    for table in TABLES:
        await connection.execute(
            f"DELETE FROM {checkpoint.schema}.{table.name} WHERE owner = $1 AND workflow_id = $2",  # noqa: S608 - ours
            *key,
        )


async def _upsert(connection: "Connection", schema: str, table: Table[Any], rows: Iterable[Any]) -> None:
    """All rows of a table in one statement, by column."""
    rows = list(rows)
    if rows:
        columns = [[_value(getattr(row, name), kind) for row in rows] for name, kind in table.columns.items()]
        await connection.execute(_insert(schema, table), *columns)


def _value(value: Any, kind: str) -> Any:
    """JSON goes as text: the driver would take a list in a list for an array of two dimensions."""
    return json.dumps(value, allow_nan=False) if kind == "jsonb" and value is not None else value


def _tell(batch: Batch, taken: Sequence[Step], elapsed_s: float) -> None:
    for key, held in batch.held.items():
        if held.position >= taken[0].entry.position:
            log.error("workflow held", workflow_id=key.workflow_id, position=held.position, why=held.error)
    log.debug(
        "applied",
        position=taken[-1].entry.position,
        events=batch.applied,
        held=batch.left_out,
        elapsed_ms=round(elapsed_s * 1000, 1),
    )


def _select(schema: str, table: Table[Any]) -> str:
    return (
        f"SELECT {', '.join(table.columns)} FROM {schema}.{table.name} "  # noqa: S608 - names of our own
        "WHERE (owner, workflow_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))"
    )


def _insert(schema: str, table: Table[Any]) -> str:
    columns = ", ".join(table.columns)
    casts = {"jsonb": "text[]::jsonb[]"}
    arrays = ", ".join(
        f"${number}::{casts.get(kind, f'{kind}[]')}" for number, kind in enumerate(table.columns.values(), start=1)
    )
    changes = ", ".join(f"{name} = excluded.{name}" for name in table.columns if name not in table.key)
    return (
        f"INSERT INTO {schema}.{table.name} ({columns}) SELECT * FROM unnest({arrays}) "  # noqa: S608 - names of our own
        f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {changes}"
    )


def _columns_of(keys: Sequence[WorkflowKey]) -> tuple[list[str], list[str]]:
    return [key.owner for key in keys], [key.workflow_id for key in keys]
