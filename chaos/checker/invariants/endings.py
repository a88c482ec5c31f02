"""1: every accepted request reaches exactly one terminal event in each run, within a bound after the faults end."""

from collections.abc import Iterator

from chaos.checker import telling
from chaos.checker.damage import lost_workflows
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.log import CLOSING, Story
from chaos.checker.record import Record
from contracts.events import WorkflowResumed

RULE = "every accepted request ends, once a run"

BOUND_S = 240.0
"""After the faults: the longest pause before a retry (120 s), ack waits, and the works that are still to do."""


SKEWED_S = 1_800.0
"""No run waits so long: a process whose clock was put off has said when, where no proxy saw it."""


def check(record: Record) -> Finding:
    """What was accepted, held against the ends that stand in the log."""
    accepted = [one for one in record.clients if one.op == "request" and one.phase == "ok" and one.workflow_id]
    known = record.by_workflow_id.keys() | lost_workflows(record)
    lost = [one for one in accepted if one.workflow_id not in known]
    told = [story for story in record.stories.values() if story.request]
    violations = [
        *(
            Violation(
                "a request was accepted, and the log knows no such workflow",
                telling.in_order(telling.clients(record, [one])),
            )
            for one in lost
        ),
        *(violation for story in told for violation in _of(record, story)),
    ]
    runs = sum(1 + sum(isinstance(one.event, WorkflowResumed) for one in story.recorded) for story in told)
    return finding(1, RULE, violations, accepted_requests=len(accepted), workflows=len(told), runs=runs)


def _of(record: Record, story: Story) -> Iterator[Violation]:
    history = telling.in_order(telling.events(record, story.recorded))
    ended = [one.event.run for one in story.recorded if isinstance(one.event, CLOSING)]
    for run in sorted({run for run in ended if ended.count(run) > 1}):
        yield Violation(f"run {run} ends {ended.count(run)} times", history)
    if story.unreadable:  # nobody here can say how it stands; it is held, and listed (6 and 14)
        return
    if story.closing is None:
        yield Violation("it never ended", history)
        return
    late = telling.time_of(record, story.closing) - record.calm_at
    if BOUND_S < late < SKEWED_S:
        yield Violation(f"it ended {late:.0f} s after the faults; {BOUND_S:.0f} s are the most", history)
