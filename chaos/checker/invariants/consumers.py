"""14: in the end no consumer has anything left, no delivery is stuck, and what was parked is listed."""

from collections.abc import Iterator

from chaos.checker import telling
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.record import Record
from contracts.services import STAGES

RULE = "nothing waits, nothing is stuck, and what is parked is listed"


def check(record: Record) -> Finding:
    """The stages' consumers, and the quarantine beside what the log cannot have read."""
    violations = [*_waiting(record), *_unlisted(record)]
    return finding(14, RULE, violations, consumers=len(record.consumers), parked=len(record.quarantine))


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
