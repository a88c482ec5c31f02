"""2: at most one success for each work and edition; exactly one where the workflow is complete."""

from collections import Counter

from chaos.checker import telling
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.record import Record
from contracts.events import Artefact, WorkflowCompleted, work_of
from contracts.works import Work

RULE = "each work is made once, and all of them where it is complete"


def check(record: Record) -> Finding:
    """Each workflow's artefacts, counted."""
    violations: list[Violation] = []
    successes = complete = 0
    for story in record.stories.values():
        made = Counter(
            (work_of(one.event), one.event.edition) for one in story.recorded if isinstance(one.event, Artefact)
        )
        successes += made.total()
        history = telling.in_order(
            telling.events(
                record, [one for one in story.recorded if isinstance(one.event, Artefact | WorkflowCompleted)]
            )
        )
        violations += [
            Violation(f"{work}, edition {edition}, is made {count} times", history)
            for (work, edition), count in made.items()
            if count > 1
        ]
        if any(isinstance(one.event, WorkflowCompleted) for one in story.recorded) and story.request:
            complete += 1
            wanted = {"blog", "illustration", *(f"social:{platform}" for platform in story.request.platforms)}
            wanted |= {"research"} if story.request.research else set()
            missing = {Work(name) for name in wanted} - {work for work, _ in made}
            violations += [Violation(f"it is complete without {work}", history) for work in sorted(missing)]
    return finding(2, RULE, violations, successes=successes, complete_workflows=complete)
