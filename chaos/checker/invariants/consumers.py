"""14: in the end no consumer has anything left, no delivery is stuck, and what is parked is listed and can be redriven.

Once all was at rest the operator has listed what is parked, had one command redrive it, and listed it again in the end.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import BaseModel, ValidationError

from chaos.checker import telling
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.log import CLOSING, OPENING, Story
from chaos.checker.record import CannotBeChecked, Record
from chaos.checker.shapes import Said
from contracts.events import WorkflowFailed, WorkflowResumed
from contracts.services import STAGES

RULE = "nothing waits, nothing is stuck, and what is parked is listed and goes on by one command"

FAILED, HELD = "failed", "held"


class Item(BaseModel):
    """A workflow that is parked."""

    workflow_id: str
    kind: str


class Parked(BaseModel):
    """What was listed, all of it at one position of the log: `before` the command, and `after` it, in the end."""

    when: Literal["before", "after"]
    position: int
    items: tuple[Item, ...]

    @property
    def kinds(self) -> Mapping[str, str]:
        """By workflow."""
        return {one.workflow_id: one.kind for one in self.items}


def check(record: Record) -> Finding:
    """The stages' consumers; the quarantine beside what the log cannot have read; both lists; what the command did."""
    before, after = _listed(record, "before"), _listed(record, "after")
    violations = [
        *_waiting(record),
        *_unlisted(record),
        *_wrong(record, before),
        *_wrong(record, after),
        *_not_redriven(record, before),
    ]
    failed = sum(one.kind == FAILED for one in before.items)
    held = len(record.quarantine)
    return finding(14, RULE, violations, consumers=len(record.consumers), redriven=failed, held=held)


def _listed(record: Record, when: str) -> Parked:
    """Raises CannotBeChecked."""
    for one in record.clients:
        if one.op == "parked" and one.phase == "ok" and (one.data or {}).get("when") == when:
            try:
                return Parked.model_validate(one.data)
            except ValidationError as wrong:
                raise CannotBeChecked(f"clients.jsonl: what was parked {when} the redrive is not told well") from wrong
    raise CannotBeChecked(f"clients.jsonl does not tell what was parked {when} the redrive")


def _wrong(record: Record, listed: Parked) -> Iterator[Violation]:
    """Whatever is parked by the log is listed, and nothing else."""
    expected = {
        key.workflow_id: kind
        for key, story in record.stories.items()
        if (kind := parked_as(story, listed.position)) is not None
    }
    where = f"{listed.when} the redrive, at position {listed.position}"
    if len(listed.items) > len(listed.kinds):
        yield Violation(f"a workflow is listed twice {where}")
    for workflow_id in sorted(expected.keys() | listed.kinds.keys()):
        told, right = listed.kinds.get(workflow_id, "nothing"), expected.get(workflow_id, "nothing")
        if told != right:
            story = record.by_workflow_id.get(workflow_id)
            history = telling.in_order(telling.events(record, story.recorded)) if story else []
            yield Violation(f"{workflow_id} is listed as {told} {where}; by the log it is {right}", history)


def parked_as(story: Story, position: int) -> str | None:
    """How a workflow is parked once the log reaches so far; None where it is not."""
    if story.unreadable and story.unreadable.position <= position:
        return HELD
    turns = [
        one.event for one in story.recorded if isinstance(one.event, OPENING + CLOSING) and one.position <= position
    ]
    last = turns[-1] if turns else None
    return FAILED if isinstance(last, WorkflowFailed) and last.error.retryable else None


def _not_redriven(record: Record, before: Parked) -> Iterator[Violation]:
    """What had failed was opened again; and the command has told whether all goes on."""
    command = next((one for one in record.clients if one.op == "redrive"), None)
    if command is None:
        raise CannotBeChecked("clients.jsonl tells of no redrive")
    for workflow_id, kind in before.kinds.items():
        story = record.by_workflow_id.get(workflow_id)
        if kind == FAILED and story and not _is_resumed(story, before.position):
            history = telling.in_order(telling.events(record, story.recorded))
            yield Violation("a workflow was parked, and does not go on by the redrive", history)
    yield from _wrong_end(command, is_held=HELD in before.kinds.values())


def _is_resumed(story: Story, position: int) -> bool:
    return any(isinstance(one.event, WorkflowResumed) and one.position > position for one in story.recorded)


def _wrong_end(command: Said, *, is_held: bool) -> Iterator[Violation]:
    """0 where all goes on; 1 where something is held still, which newer code alone could mend."""
    if command.status != int(is_held):
        told = [line for text in (command.data or {}).values() for line in str(text).splitlines()]
        yield Violation(f"the redrive ended with {command.status} and not with {int(is_held)}", told)


def _waiting(record: Record) -> Iterator[Violation]:
    # A stage that cannot read a history leaves its deliveries unacknowledged: newer code may come. So each event of
    # such a workflow may be in hand, and nothing else.
    unreadable = sum(len(story.entries) for story in record.stories.values() if story.unreadable)
    for stage in STAGES:
        found = record.consumers.get(stage)
        if found is None or found.error:
            yield Violation(f"{stage} has no consumer")
            continue
        if found.pending:
            yield Violation(f"{found.pending} events still wait for {stage}")
        if found.ack_pending > unreadable:
            told = f"{found.ack_pending} deliveries of {stage} are stuck"
            yield Violation(f"{told}; {unreadable} may be, of what nobody can read")


def _unlisted(record: Record) -> Iterator[Violation]:
    listed = {(one.owner, one.workflow_id) for one in record.quarantine}
    for key, story in record.stories.items():
        if story.unreadable and key not in listed:
            yield Violation("a workflow cannot go on, and is not listed", [telling.entry(story.unreadable)])
    for owner, workflow_id in sorted(listed):
        if all(key != (owner, workflow_id) for key in record.stories):
            yield Violation(f"{workflow_id} is listed as parked, and the log knows nothing of it")
