"""4: one client request id is one workflow, however often and from wherever it is asked; with another body it is a 409.

A request whose end nobody knows may have had its effect or not: it forbids nothing, and promises nothing.
"""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import ValidationError

from chaos.checker import telling
from chaos.checker.disturbances import ECHO_S
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.log import Story
from chaos.checker.record import Record, as_json
from chaos.checker.shapes import Said
from contracts.requests import ContentRequest

RULE = "the same request id gives one workflow"
CONFLICT = 409

TRY_AGAIN = (429, 503, 507)
"""Answers that say that nobody has looked: to be expected only while something is done to the system, or right behind.
"""

SOMETHING_ELSE = frozenset({"repeats", "calm", "end"})
"""What happens in a run and keeps no answer away."""


def check(record: Record) -> Finding:
    """The requests by their ids, with what was answered and what stands in the log."""
    asked = [one for one in record.clients if one.op == "request"]
    by_id = _by_request_id(asked)
    stories = _stories_by_request_id(record)
    violations = [
        *(
            wrong
            for name in sorted({*by_id, *stories})
            for wrong in _of(record, by_id.get(name, []), stories.get(name, []))
        ),
        *_mixed_up(record, asked),
    ]
    invoked = sum(one.phase == "invoked" for one in asked)
    conflicts = sum(one.status == CONFLICT for one in asked)
    return finding(
        4,
        RULE,
        violations,
        requests=invoked,
        request_ids=len(by_id),
        workflows=len(record.stories),
        conflicts=conflicts,
    )


def _of(record: Record, said: Sequence[Said], stories: Sequence[Story]) -> Iterator[Violation]:
    first = [story.recorded[0] for story in stories]
    history = telling.in_order(telling.clients(record, said), telling.events(record, first))
    taken = {one.workflow_id for one in said if one.phase == "ok"}
    if len(taken) > 1:
        yield Violation(f"one request id was answered with {len(taken)} workflows", history)
    if len(stories) > 1:
        yield Violation(f"one request id stands for {len(stories)} workflows in the log", history)
    if stories and said and not any(one.phase in ("ok", "unknown") for one in said):
        yield Violation("every request failed for certain, and the log has a workflow of it", history)
    yield from _conflicts(record, said, stories, history)


def _conflicts(
    record: Record, said: Sequence[Said], stories: Sequence[Story], history: list[str]
) -> Iterator[Violation]:
    """Of bodies that differ, the one that stands in the log is accepted, and each other one is a conflict.

    An answer to one that was asked when the first stood in the log already is certain: nothing but a conflict will do.
    """
    bodies = _bodies(said)
    recorded = stories[0].request if stories else None
    if recorded is None:
        return
    stored_at = telling.time_of(record, stories[0].recorded[0])
    asked_at = {one.id: one.at for one in said if one.phase == "invoked"}
    for one in said:
        asked = bodies.get(one.id)
        if asked is None or one.phase == "invoked":
            continue
        is_same = asked.command().topic == recorded.topic and asked.command().platforms == recorded.platforms
        is_same = is_same and asked.research == recorded.research and asked.command().brief == recorded.brief
        if one.phase == "ok" and not is_same:
            yield Violation("another request under the same id was accepted", history)
        if one.status == CONFLICT and is_same:
            yield Violation("the same request under the same id was refused as a conflict", history)
        if not is_same and asked_at[one.id] > stored_at and _is_no_conflict(record, one):
            what = f"another request under the same id was answered with {one.status}, and not as a conflict"
            yield Violation(what, history)


def _is_no_conflict(record: Record, one: Said) -> bool:
    """Was it answered with something else, where there was no reason to?"""
    if one.phase == "ok" or one.status in (None, CONFLICT):
        return False
    return one.status not in TRY_AGAIN or not _is_disturbed(record, one.at)


def _is_disturbed(record: Record, at: float) -> bool:
    done = [one for one in record.happened if one.phase and one.kind not in SOMETHING_ELSE]
    over = {one.step: one.at for one in done if one.phase == "healed"}
    return any(one.at <= at <= max(one.at, over.get(one.step, one.at)) + ECHO_S for one in done if one.phase == "fired")


def _mixed_up(record: Record, asked: Sequence[Said]) -> Iterator[Violation]:
    """One workflow for two requests that have nothing to do with each other."""
    by_workflow: dict[str, list[Said]] = {}
    for one in asked:
        if one.phase == "ok" and one.workflow_id:
            by_workflow.setdefault(one.workflow_id, []).append(one)
    for told in by_workflow.values():
        ids = {one.client_request_id or f"the request {one.id} of {one.client}" for one in told}
        if len(ids) > 1:
            yield Violation("one workflow answers several requests", telling.in_order(telling.clients(record, told)))


def _by_request_id(asked: Sequence[Said]) -> Mapping[str, list[Said]]:
    """All that was said of each request id; an answer is of the id with which it was invoked."""
    names = {one.id: one.client_request_id for one in asked if one.phase == "invoked"}
    found: dict[str, list[Said]] = {}
    for one in asked:
        name = one.client_request_id or names.get(one.id)
        if name:
            found.setdefault(name, []).append(one)
    return found


def _stories_by_request_id(record: Record) -> Mapping[str, list[Story]]:
    found: dict[str, list[Story]] = {}
    for story in record.stories.values():
        if story.request and story.request.client_request_id:
            found.setdefault(story.request.client_request_id, []).append(story)
    return found


def _bodies(said: Sequence[Said]) -> dict[str | int | None, ContentRequest]:
    """What was asked for, by the invocation; what is no request at all is not among them."""
    bodies: dict[str | int | None, ContentRequest] = {}
    for one in said:
        if one.phase == "invoked" and (body := as_json(one.body)) is not None:
            try:
                bodies[one.id] = ContentRequest.model_validate(body)
            except ValidationError:
                continue
    return bodies
