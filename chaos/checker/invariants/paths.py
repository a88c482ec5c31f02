"""5: every history is a legal path of the language; revisions are 1, 2, 3 …; every cause stands earlier in the log."""

from collections.abc import Iterator

from chaos.checker import telling
from chaos.checker.damage import lost
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.language import UNCLAIMED, broken_rules
from chaos.checker.log import Story
from chaos.checker.record import Record, event_id
from contracts.envelope import CAUSE
from contracts.subjects import BadToken, parse

RULE = "every history is a legal one, without gap or repeat"


def check(record: Record) -> Finding:
    """Each history, held against the rules as chaos/checker/language.py tells them."""
    stories = record.stories.values()
    violations = [wrong for story in stories for wrong in (*_of(record, story), *_causes(record, story))]
    return finding(5, RULE, violations, workflows=len(stories), events=len(record.log))


def _of(record: Record, story: Story) -> Iterator[Violation]:
    has_lost = any(story.key.workflow_id in one.subject for one in lost(record).values())
    for revision, what in broken_rules(story.recorded):
        if has_lost and UNCLAIMED in what:  # the claim is among what was truly lost
            continue
        until = [one for one in story.recorded if one.revision <= revision]
        yield Violation(what, telling.in_order(telling.events(record, until)))
    revisions = [number for entry in story.entries if (number := _revision(entry.subject))]
    if revisions != list(range(1, len(revisions) + 1)):
        yield Violation(f"its revisions are {revisions}", [telling.entry(entry) for entry in story.entries])


def _causes(record: Record, story: Story) -> Iterator[Violation]:
    seen = set(lost(record))
    for entry in story.entries:
        cause = entry.headers.get(CAUSE)
        if cause is not None and cause not in seen:
            lines = [
                f"{telling.entry(one)} id {event_id(one)}" for one in story.entries if one.position <= entry.position
            ]
            yield Violation(f"the cause {cause} stands nowhere before", lines)
        seen.add(event_id(entry))


def _revision(subject: str) -> int | None:
    try:
        return parse(subject).revision
    except BadToken:
        return None
