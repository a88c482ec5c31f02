"""6: the read tables are what a slow, independent fold of the log says; the checkpoint is at its end, and never fell.

The slow fold is that of services/projector/verify: it shares no code with the projector's handlers.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from chaos.checker import telling
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.log import Story
from chaos.checker.record import Record, Row, as_json
from contracts.subjects import WorkflowKey
from services.projector.verify.books import Hold, quarantine_differences, readable
from services.projector.verify.comparing import row_differences
from services.projector.verify.slow_fold.rows import KEYS, rows_of

RULE = "the read tables are what the log says, and the checkpoint only rises"


def check(record: Record) -> Finding:
    """Every row of every table, and every sample of the checkpoint."""
    found = _found(record)
    violations = [
        *(wrong for story in record.stories.values() for wrong in _of(record, story, found)),
        *_strangers(record, found),
        *_checkpoint(record),
        *_falls(record),
    ]
    rows = sum(len(rows) for rows in record.tables.values())
    return finding(6, RULE, violations, rows=rows, workflows=len(record.stories), checkpoints=len(record.checkpoints))


def _of(record: Record, story: Story, found: Mapping[tuple[str, WorkflowKey], list[Row]]) -> Iterator[Violation]:
    """The rows of one workflow: of all its events, or of those before the one at which it is held."""
    held = next((one for one in record.quarantine if (one.owner, one.workflow_id) == story.key), None)
    recorded, unfit = readable(story.entries)
    hold = Hold(held.position, held.subject, held.error, held.events) if held else None
    for what in quarantine_differences(story.entries, unfit, hold):
        yield Violation(f"{story.key.workflow_id}: {what}", [telling.entry(entry) for entry in story.entries])
    if hold and not unfit:
        lines = [telling.entry(entry) for entry in story.entries]
        yield Violation(f"{story.key.workflow_id} is held ({hold.error}), and each of its events can be applied", lines)
    told = [one for one in recorded if held is None or one.position < held.position]
    history = telling.in_order(telling.events(record, told))
    for table, expected in rows_of(told).items():
        there = [_as(expected, row) for row in found.get((table, story.key), [])]
        for name, what in row_differences(table, expected, there):
            yield Violation(f"{table} of {story.key.workflow_id}{name}: {what}", history)


def _strangers(record: Record, found: Mapping[tuple[str, WorkflowKey], list[Row]]) -> Iterator[Violation]:
    for table, key in found:
        if key not in record.stories:
            yield Violation(f"{table} has rows of {key.workflow_id}, of which the log knows nothing")
    for table in KEYS:
        if table not in record.tables:
            yield Violation(f"there is no table {table}")


def _checkpoint(record: Record) -> Iterator[Violation]:
    last = max((entry.position for entry in record.log), default=0)
    if record.checkpoint.position != last:
        yield Violation(f"the checkpoint is at {record.checkpoint.position}, the log ends at {last}", _told(record))


def _falls(record: Record) -> Iterator[Violation]:
    """Within one log the tables that readers see never go back, also not where a rebuild changes over."""
    for before, after in pairwise(record.checkpoints):
        if before.epoch == after.epoch and after.position < before.position:
            lines = [
                f"{one.at - record.began_at:8.3f} s  generation {one.generation} at {one.position}"
                for one in (before, after)
            ]
            yield Violation(f"the checkpoint fell from {before.position} to {after.position}", lines)


def _told(record: Record) -> list[str]:
    return [
        f"{one.at - record.began_at:8.3f} s  generation {one.generation} at {one.position} of {one.epoch}"
        for one in record.checkpoints[-5:]
    ]


def _found(record: Record) -> Mapping[tuple[str, WorkflowKey], list[Row]]:
    found: dict[tuple[str, WorkflowKey], list[Row]] = {}
    for table in KEYS:
        for row in record.tables.get(table, ()):
            found.setdefault((table, WorkflowKey(row["owner"], row["workflow_id"])), []).append(row)
    return found


def _as(expected: Sequence[Row], row: Row) -> Row:
    """The row in the types in which the slow fold tells it: a file knows no moments. Generated columns are left out."""
    if not expected:
        return row
    return {column: _value(expected[0][column], value) for column, value in row.items() if column in expected[0]}


def _value(like: Any, value: Any) -> Any:
    if isinstance(like, datetime) and isinstance(value, str):
        return datetime.fromisoformat(value)
    if value is not None and like is None and isinstance(value, str):
        return _moment_or_text(value)
    return as_json(value) if isinstance(like, dict | list) else value


def _moment_or_text(value: str) -> Any:
    """Where the first row has nothing, the column may be of moments all the same."""
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return value
