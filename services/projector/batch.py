"""A batch of the log, folded: from what stands there to the rows that it means. Pure.

entries + the workflows' rows so far ──fold──> rows to write, and workflows to hold
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chassis.jetstream_log import Entry
from contracts.envelope import Recorded, UnreadableEvent, decode
from contracts.events import UNSTORABLE, Event, WorkflowRequested
from contracts.subjects import WorkflowKey, storable, whose
from services.projector.table import Table

ERROR_LENGTH_MAX = 1_000


@dataclass(frozen=True)
class Step:
    """One entry, read: the event, or why it cannot be read."""

    entry: Entry
    read: Recorded[Event] | UnreadableEvent


@dataclass
class Held:
    """A workflow that is held since one of its events could not be read or applied. `events`: held by this batch."""

    position: int
    subject: str
    error: str
    events: int = 0


class OutOfOrder(Exception):
    """The history has a gap or a repeat, or a request elsewhere than at its beginning."""


@dataclass
class Batch:
    """What a batch means. `rows`: by table, the last state of each row that it touches."""

    rows: dict[str, dict[tuple[object, ...], Any]] = field(default_factory=dict[str, dict[tuple[object, ...], Any]])
    held: dict[WorkflowKey, Held] = field(default_factory=dict[WorkflowKey, Held])
    applied: int = 0

    @property
    def left_out(self) -> int:
        """How many events of the batch are held."""
        return sum(held.events for held in self.held.values())


def steps(entries: Iterable[Entry]) -> list[Step]:
    """The entries, read. What takes long here (a large or a hostile body) holds no transaction open."""
    return [Step(entry, _read(entry)) for entry in entries]


def _read(entry: Entry) -> Recorded[Event] | UnreadableEvent:
    try:
        return decode(entry.subject, entry.headers, entry.body, position=entry.position)
    except UnreadableEvent as wrong:
        return wrong


def workflows_in(taken: Iterable[Step]) -> set[WorkflowKey]:
    """The workflows that these belong to."""
    return {whose(step.entry.subject) for step in taken}


def fold(
    taken: Sequence[Step],
    tables: Sequence[Table[Any]],
    so_far: Mapping[WorkflowKey, Any],
    held: Mapping[WorkflowKey, Held],
    refused: Mapping[int, str],
) -> Batch:
    """What the steps mean.

    `so_far`: the workflows' own rows before the batch. `held`: those of them that are held already. `refused`:
    positions that the database can not store, with its reason.
    """
    rows, batch = dict(so_far), Batch(held={key: Held(h.position, h.subject, h.error) for key, h in held.items()})
    for step in taken:
        entry, key = step.entry, whose(step.entry.subject)
        if key not in batch.held:
            try:
                _apply(step, tables, rows, batch, refused)
                batch.applied += 1
                continue
            except Exception as wrong:
                # Whatever is wrong with one event (or with a handler) must not stop the other workflows.
                batch.held[key] = Held(entry.position, storable(entry.subject), _words(wrong))
        batch.held[key].events += 1
    return batch


def _apply(
    step: Step,
    tables: Sequence[Table[Any]],
    rows: dict[WorkflowKey, Any],
    batch: Batch,
    refused: Mapping[int, str],
) -> None:
    """Applies one event to the rows, or to none of them. Raises what is wrong with it."""
    if step.entry.position in refused:
        raise ValueError(refused[step.entry.position])
    if isinstance(step.read, UnreadableEvent):
        raise step.read
    recorded = step.read
    _refuse_disorder(recorded, rows.get(recorded.key))
    changes = [(table, list(table.rows(recorded, rows.get(recorded.key)))) for table in tables]
    for table, brought in changes:
        batch.rows.setdefault(table.name, {}).update({table.key_of(row): row for row in brought})
        if table.is_changed and brought:
            rows[recorded.key] = brought[-1]


def _refuse_disorder(recorded: Recorded[Event], row: Any) -> None:
    before = row.revision if row else 0
    if recorded.revision != before + 1:
        raise OutOfOrder(f"revision {recorded.revision} follows {before or 'nothing'}")
    if (before == 0) != isinstance(recorded.event, WorkflowRequested):
        raise OutOfOrder(f"{recorded.event.type} is revision {recorded.revision} of its history")


def _words(wrong: Exception) -> str:
    told = str(wrong) if isinstance(wrong, (UnreadableEvent, OutOfOrder, ValueError)) else repr(wrong)
    return UNSTORABLE.sub("\ufffd", told)[:ERROR_LENGTH_MAX]
