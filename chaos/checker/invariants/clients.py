"""11: each client sees revision after revision from where it attached, and what it sees is what the log says.

Across reconnects: a client that attaches again behind its last revision goes on right there.
"""

from collections.abc import Iterator, Sequence

from chaos.checker import telling
from chaos.checker.damage import damages, lost
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.log import Story
from chaos.checker.record import Record
from chaos.checker.shapes import Said
from contracts.events import Event
from contracts.websocket import describe
from contracts.workflow import is_closed_after

RULE = "clients see every revision once, in order, as the log has it"
DONE, UNKNOWN = 1000, 4404
NEW_RELEASE = "new-release"


def check(record: Record) -> Finding:
    """What each client saw of each workflow."""
    watched = _by_view(record)
    violations = [
        wrong
        for (_, workflow), said in watched.items()
        for wrong in _of(record, said, record.by_workflow_id.get(workflow))
    ]
    frames = sum(one.op == "frame" for one in record.clients)
    attached = sum(one.op == "attach" for one in record.clients)
    return finding(
        11, RULE, violations, clients=len({client for client, _ in watched}), attached=attached, frames=frames
    )


def _by_view(record: Record) -> dict[tuple[str, str], list[Said]]:
    """By client and workflow: where it attached, what it was told, how that ended."""
    views: dict[tuple[str, str], list[Said]] = {}
    last: dict[str, str] = {}
    for one in record.clients:
        if one.op in ("attach", "frame") and one.workflow_id:
            last[one.client] = one.workflow_id
            views.setdefault((one.client, one.workflow_id), []).append(one)
        elif one.op == "closed" and (of := one.workflow_id or last.get(one.client)):
            views.setdefault((one.client, of), []).append(one)
    return {view: said for view, said in views.items() if any(one.op != "closed" for one in said)}


def _of(record: Record, said: Sequence[Said], story: Story | None) -> Iterator[Violation]:
    seen, forgiven, is_changed_over = 0, lost(record), any(one.kind == NEW_RELEASE for one in record.happened)
    for place, one in enumerate(said):
        until = telling.clients(record, said[: place + 1])
        if one.op == "attach" and one.after_revision is not None:
            seen = one.after_revision
        if one.op == "closed" and one.code == UNKNOWN and story and not damages(record):
            yield Violation("it is told that there is no such workflow", telling.in_order(until))
        if one.op != "frame" or one.revision is None:
            continue
        if one.event_id in forgiven:  # it was told what the log has truly lost; what came behind is of another history
            return
        if one.revision != seen + 1:
            yield Violation(f"revision {one.revision} is told behind revision {seen}", telling.in_order(until))
            return
        seen = one.revision
        yield from (Violation(what, telling.in_order(until)) for what in _unlike(one, story, is_changed_over))
    yield from (
        Violation(what, telling.in_order(telling.clients(record, said))) for what in _unheard(said, seen, story)
    )


def _unlike(one: Said, story: Story | None, is_changed_over: bool) -> Iterator[str]:
    """What the client was told of a revision, and the log does not say. Older code does not tell fields that only the
    newer release knows.
    """
    recorded = next((told for told in story.recorded if told.revision == one.revision), None) if story else None
    if recorded is None:
        yield f"revision {one.revision} is told, and the log has no such event"
        return
    told = describe(recorded)
    if one.event not in (None, told["event"]):
        yield f"revision {one.revision} is told as {one.event}; the log has {told['event']}"
    if one.event_id not in (None, told["id"]):
        yield f"revision {one.revision} is told under the id {one.event_id}; the log has {told['id']}"
    if one.data is not None and one.data != told["data"]:
        unlike = {name for name in {*one.data, *told["data"]} if one.data.get(name) != told["data"].get(name)}
        if unlike := sorted(unlike & {*one.data} if is_changed_over else unlike):
            yield f"revision {one.revision} is told with another {', '.join(unlike)}"


def _unheard(said: Sequence[Said], seen: int, story: Story | None) -> Iterator[str]:
    """What a client was never told: all, where it listened to the end; the end of a run, where it was sent away."""
    if story is None or story.unreadable or not story.recorded:
        return
    last = said[-1]
    if last.op != "closed" and seen < story.recorded[-1].revision:
        yield f"it listened to the end and was told {seen} of {story.recorded[-1].revision} revisions"
    if last.op == "closed" and last.code == DONE and not _is_closed(story, seen):
        yield f"it was told that all is over behind revision {seen}, where the run is open"


def _is_closed(story: Story, revision: int) -> bool:
    closed = False
    events: list[Event] = [one.event for one in story.recorded if one.revision <= revision]
    for event in events:
        closed = is_closed_after(event, was_closed=closed)
    return closed
