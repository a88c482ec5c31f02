"""Bugs of the projector: its transaction, what it skips, and which log it takes for its own."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import services.projector.archive
import services.projector.batch
import services.projector.projector
import services.projector.writing
from chaos.planted.bug import Patch
from chassis.jetstream_log import BATCH, Entry, JetStreamLog
from contracts.envelope import FromTheFuture
from services.projector import generation
from services.projector.batch import Batch
from services.projector.generation import Checkpoint
from services.projector.projector import Projector
from services.projector.reading import FaithfulReader
from services.projector.writing import MOVE

EACH = 7


def move_checkpoint_outside(patch: Patch) -> None:
    """Moves the checkpoint when the transaction with the rows is over, in one of its own."""
    moves: list[tuple[object, ...]] = []

    def without_move(write: Any) -> Any:
        async def writes(connection: Any, checkpoint: Checkpoint, taken: Sequence[Any], batch: Batch) -> None:
            last = taken[-1].entry.position
            moves.clear()
            await write(_WithoutMove(connection), checkpoint, taken, batch)
            moves.append((checkpoint.generation, last, batch.applied, batch.left_out))

        return writes

    def then_move(write_batch: Any) -> Any:
        async def writes_batch(connection: Any, *arguments: Any, **named: Any) -> Any:
            moved = await write_batch(connection, *arguments, **named)
            while moves:
                await connection.execute(MOVE, *moves.pop())
            return moved

        return writes_batch

    patch.replace(services.projector.writing, "_write", without_move)
    patch.replace(services.projector.writing, "_write_batch", then_move)


class _WithoutMove:
    """A connection on which the checkpoint does not move."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, query: str, *arguments: object) -> Any:
        return None if query == MOVE else await self._connection.execute(query, *arguments)


def skip_the_future(patch: Patch) -> None:
    """Passes over an event that newer code wrote, as if it meant nothing."""

    def lenient(apply: Any) -> Any:
        def applies(step: Any, *arguments: Any) -> None:
            if not isinstance(step.read, FromTheFuture):
                apply(step, *arguments)

        return applies

    patch.replace(services.projector.batch, "_apply", lenient)


def skip_in_archive(patch: Patch) -> None:
    """Leaves every seventh event out of the archive."""

    def keeping(keep: Any) -> Any:
        async def keeps(connection: Any, epoch: str, entries: Sequence[Entry]) -> None:
            await keep(connection, epoch, [entry for entry in entries if entry.position % EACH])

        return keeps

    patch.replace(services.projector.archive, "keep", keeping)


def ignore_epoch(patch: Patch) -> None:
    """Takes any log for the one that the tables were built from, however short and whatever stands in it."""

    first_checkpoint = services.projector.projector._first_checkpoint  # pyright: ignore[reportPrivateUsage]

    async def takes_any(self: Any, connection: Any) -> Checkpoint:
        epoch = await self._log.epoch()
        return await generation.live(connection) or await first_checkpoint(connection, epoch)

    async def reads(self: Any, most: int = BATCH) -> list[Entry]:
        log: JetStreamLog = self._log
        return await log.read(self._position, most)

    patch.replace(Projector, "_checked_checkpoint", lambda _: takes_any)
    patch.replace(FaithfulReader, "read", lambda _: reads)
    if find_spec("services.projector.log"):  # who keeps watch over the log beside the loop is not heard either
        guard = import_module("services.projector.log.guard").Guard
        patch.replace(guard, "refuse_doubt", lambda _: _without_doubt)


def _without_doubt(_: object) -> None:
    """All is well."""
