"""7: what was applied and what is held are all events, by the projector's own books, whatever generation is live."""

from collections.abc import Iterator

from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.record import Record
from contracts.subjects import WorkflowKey
from services.projector.verify.books import Books, Hold, counter_differences

RULE = "applied and held events are all events"


def check(record: Record) -> Finding:
    """The books, the quarantine and the log's length. After a rebuild they are the new tables' (6 holds those)."""
    told = record.checkpoint
    violations = [*_books(record), *_unheld(record)]
    return finding(
        7, RULE, violations, applied=told.applied, held=told.held, events=len(record.log), generations=told.generation
    )


def _books(record: Record) -> Iterator[Violation]:
    told = record.checkpoint
    quarantine = {
        WorkflowKey(one.owner, one.workflow_id): Hold(one.position, one.subject, one.error, one.events)
        for one in record.quarantine
    }
    books = Books(told.generation, told.epoch, told.position, told.applied, told.held, quarantine)
    yield from (Violation(what) for what in counter_differences(books))
    if told.applied + told.held != len(record.log):
        yield Violation(f"{told.applied} applied and {told.held} held events are not the {len(record.log)} of the log")


def _unheld(record: Record) -> Iterator[Violation]:
    """An event that nobody can read was neither applied nor lost: its workflow is held."""
    held = {(one.owner, one.workflow_id) for one in record.quarantine}
    for key, story in record.stories.items():
        if story.unreadable and key not in held:
            yield Violation("an event cannot be read, and its workflow is not held", [story.unreadable.subject])
