"""Read table `workflows`: what was asked for, where it stands, and how each of its works went.

workflow-requested ──> a row; every later event ──> that row, changed
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from contracts.envelope import Recorded
from contracts.events import (
    MADE,
    AttemptFailed,
    BlogWritten,
    Made,
    ResearchCompleted,
    Usage,
    WorkClaimed,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRequested,
    WorkflowResumed,
    work_of,
)
from contracts.workflow import Phase, works
from services.projector.table import Json, Table

SUMMED = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "images", "searches", "calls")
"""Of a usage: what is added up."""

NOTHING_USED: Json = {**dict.fromkeys(SUMMED, 0), "cost_usd": 0.0, "cost_known": True}

Attempt = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class WorkflowRow:
    """One workflow. `works` and `usage` are told in docs/read-tables.md."""

    owner: str
    workflow_id: str
    topic: str
    research: bool
    platforms: Json
    brief: Json
    client_request_id: str | None
    status: str
    run: int
    revision: int
    requested_position: int
    position: int
    requested_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    title: str | None
    notes: str | None
    error: Json
    reason: str | None
    works: Json
    usage: Json


workflows = Table("workflows", WorkflowRow, key=("owner", "workflow_id"))


@workflows.on(WorkflowRequested)
def open_workflow(recorded: Recorded[WorkflowRequested]) -> tuple[WorkflowRow]:
    """A new row, with every work still missing."""
    asked = recorded.event
    return (
        WorkflowRow(
            owner=recorded.key.owner,
            workflow_id=recorded.key.workflow_id,
            topic=asked.topic,
            research=asked.research,
            platforms=[str(platform) for platform in asked.platforms],
            brief=asked.brief.model_dump(mode="json"),
            client_request_id=asked.client_request_id,
            status=str(Phase.OPEN),
            run=1,
            revision=recorded.revision,
            requested_position=recorded.position,
            position=recorded.position,
            requested_at=recorded.recorded_at,
            updated_at=recorded.recorded_at,
            closed_at=None,
            title=None,
            notes=None,
            error=None,
            reason=None,
            works=[_blank(str(work)) for work in works(asked)],
            usage=NOTHING_USED,
        ),
    )


@workflows.changed_on(WorkClaimed)
def note_claim(recorded: Recorded[WorkClaimed], row: WorkflowRow) -> WorkflowRow:
    """One more attempt runs. One that still ran has been lost: its process died or fell silent."""
    claim = recorded.event
    now = recorded.recorded_at.isoformat()
    attempt = _new_attempt(claim.run, claim.attempt) | {"worker": claim.worker, "claimed_at": now}
    row = _ended(row, str(claim.work), "lost", now)
    return _seen(recorded, _with_work(row, str(claim.work), "claimed", lambda tried: [*tried, attempt]))


@workflows.changed_on(*MADE)
def note_artefact(recorded: Recorded[Made], row: WorkflowRow) -> WorkflowRow:
    """The work is made, by whichever attempt it was."""
    made = recorded.event
    row = _with_outcome(recorded, row, str(work_of(made)), "made", outcome="made", usage=made.usage)
    if isinstance(made, BlogWritten):
        row = replace(row, title=made.title)
    if isinstance(made, ResearchCompleted):
        row = replace(row, notes=made.notes)
    return _seen(recorded, row)


@workflows.changed_on(AttemptFailed)
def note_failure(recorded: Recorded[AttemptFailed], row: WorkflowRow) -> WorkflowRow:
    """The attempt failed, and will be followed by another."""
    failed = recorded.event
    told = {
        "error": failed.error.model_dump(mode="json"),
        "retry_at": failed.retry_at.isoformat(),
        "cost_known": failed.cost_known,
    }
    work = str(failed.work)
    return _seen(recorded, _with_outcome(recorded, row, work, "retrying", outcome="failed", usage=failed.usage, **told))


@workflows.changed_on(WorkflowFailed)
def close_failed(recorded: Recorded[WorkflowFailed], row: WorkflowRow) -> WorkflowRow:
    """The work was given up, and with it the run."""
    failed = recorded.event
    error = failed.error.model_dump(mode="json")
    told = {"error": error, "cost_known": failed.cost_known}
    work = str(failed.work)
    row = _with_outcome(recorded, row, work, "failed", outcome="gave-up", usage=failed.usage, **told)
    row = replace(row, status=str(Phase.FAILED), closed_at=recorded.recorded_at, error={"work": work, **error})
    return _seen(recorded, row)


@workflows.changed_on(WorkflowCompleted)
def close_completed(recorded: Recorded[WorkflowCompleted], row: WorkflowRow) -> WorkflowRow:
    """Everything is there."""
    return _seen(recorded, replace(row, status=str(Phase.COMPLETED), closed_at=recorded.recorded_at))


@workflows.changed_on(WorkflowCancelled)
def close_cancelled(recorded: Recorded[WorkflowCancelled], row: WorkflowRow) -> WorkflowRow:
    """The run was called off, and with it what ran."""
    row = _without_hope(row, "called-off", recorded.recorded_at.isoformat())
    row = replace(
        row, status=str(Phase.CANCELLED), closed_at=recorded.recorded_at, reason=recorded.event.reason, error=None
    )
    return _seen(recorded, row)


@workflows.changed_on(WorkflowResumed)
def open_next_run(recorded: Recorded[WorkflowResumed], row: WorkflowRow) -> WorkflowRow:
    """What is missing is due again; what still ran in the run before is lost."""
    row = _without_hope(row, "lost", recorded.recorded_at.isoformat())
    resumed = recorded.event
    row = replace(row, status=str(Phase.OPEN), run=resumed.run, closed_at=None, error=None, reason=resumed.reason)
    return _seen(recorded, row)


# ---------------------------------------------------------------- the row


def _seen(recorded: Recorded[Any], row: WorkflowRow) -> WorkflowRow:
    return replace(row, revision=recorded.revision, position=recorded.position, updated_at=recorded.recorded_at)


def _with_outcome(
    recorded: Recorded[Made | AttemptFailed | WorkflowFailed],
    row: WorkflowRow,
    work: str,
    status: str,
    *,
    usage: Usage | None,
    **told: Json,
) -> WorkflowRow:
    """The row when an attempt has ended in the way that is told."""
    event = recorded.event
    told = {"error": None, "retry_at": None, "cost_known": True, **told}
    told |= {
        "ended_at": recorded.recorded_at.isoformat(),
        "cost_known": told["cost_known"] and (usage is None or usage.cost_usd is not None),
        "usage": None if usage is None else usage.model_dump(mode="json"),
    }

    def end(tried: list[Attempt]) -> list[Attempt]:
        if not any(_is(one, event.run, event.attempt) for one in tried):
            tried = [*tried, _new_attempt(event.run, event.attempt)]
        last = max(place for place, one in enumerate(tried) if _is(one, event.run, event.attempt))
        return [*tried[:last], tried[last] | told, *tried[last + 1 :]]

    row = _with_work(row, work, status, end)
    return _having_used(row, work, lambda total: _added(total, usage, told["cost_known"]))


def _having_used(row: WorkflowRow, work: str, add: Callable[[Json], Json]) -> WorkflowRow:
    """The row with this added to what the work used, and to what the workflow used."""
    told = [one | {"usage": add(one["usage"])} if one["work"] == work else one for one in row.works]
    return replace(row, works=told, usage=add(row.usage))


def _added(total: Json, usage: Usage | None, cost_known: bool) -> Json:
    known = {"cost_known": total["cost_known"] and cost_known}
    if usage is None:
        return total | known
    counts = {name: total[name] + getattr(usage, name) for name in SUMMED}
    # As decimals: a tenth and two tenths of a dollar are three tenths.
    cost = Decimal(str(total["cost_usd"])) + Decimal(str(usage.cost_usd or 0.0))
    return {**counts, "cost_usd": float(cost), **known}


# ---------------------------------------------------------------- its works


def _with_work(
    row: WorkflowRow, work: str, status: str, change: Callable[[list[Attempt]], list[Attempt]]
) -> WorkflowRow:
    """The row with this work's attempts and status changed; what is made stays made.

    A work that nobody asked for is shown as the last.
    """
    known = row.works if any(one["work"] == work for one in row.works) else [*row.works, _blank(work)]
    return replace(row, works=[_changed(one, status, change) if one["work"] == work else one for one in known])


def _changed(work: Json, status: str, change: Callable[[list[Attempt]], list[Attempt]]) -> Json:
    return {
        "work": work["work"],
        "status": "made" if work["status"] == "made" else status,
        "attempts": change(work["attempts"]),
        "usage": work["usage"],
    }


def _blank(work: str) -> Json:
    return {"work": work, "status": "missing", "attempts": [], "usage": NOTHING_USED}


def _ended(row: WorkflowRow, work: str, outcome: str, now: str) -> WorkflowRow:
    """The row when the attempts at this work that still run have ended without a word. They may have been billed."""
    running = list(_running(row, work))
    if not running:
        return row
    ended = {"outcome": outcome, "ended_at": now, "cost_known": False}
    status = next(one["status"] for one in row.works if one["work"] == work)
    row = _with_work(row, work, status, lambda tried: [one | ended if one in running else one for one in tried])
    return _having_used(row, work, lambda total: total | {"cost_known": False})


def _without_hope(row: WorkflowRow, outcome: str, now: str) -> WorkflowRow:
    """The row when nobody works on it any more: what is not made is missing."""
    for work in [one["work"] for one in row.works]:
        row = _ended(row, work, outcome, now)
    left = [one if one["status"] == "made" else one | {"status": "missing"} for one in row.works]
    return replace(row, works=left)


def _running(row: WorkflowRow, work: str) -> Iterator[Attempt]:
    for one in row.works:
        if one["work"] == work:
            yield from (attempt for attempt in one["attempts"] if attempt["outcome"] == "running")


def _new_attempt(run: int, attempt: int) -> Attempt:
    return {
        "run": run,
        "attempt": attempt,
        "worker": None,
        "claimed_at": None,
        "ended_at": None,
        "outcome": "running",
        "error": None,
        "retry_at": None,
        "cost_known": None,
        "usage": None,
    }


def _is(one: Attempt, run: int, attempt: int) -> bool:
    return (one["run"], one["attempt"]) == (run, attempt)
