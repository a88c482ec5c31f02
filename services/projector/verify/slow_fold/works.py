"""The works of a workflow: where each stands, its attempts, how each of them ended, and what they used together."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import get_args

from contracts.envelope import Recorded
from contracts.events import (
    AttemptFailed,
    Event,
    Made,
    Usage,
    WorkClaimed,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowRequested,
    WorkflowResumed,
    work_of,
)
from contracts.workflow import works
from contracts.works import Work
from services.projector.verify.slow_fold.history import History, Row, after, every

WORK_STATUS: Mapping[type[Event], str] = {
    WorkClaimed: "claimed",
    AttemptFailed: "retrying",
    WorkflowFailed: "failed",
    WorkflowCancelled: "missing",
    WorkflowResumed: "missing",
}
"""Where a work that was never made stands after the last event that concerns it."""

RUNNING: Row = {
    "ended_at": None,
    "outcome": "running",
    "error": None,
    "retry_at": None,
    "cost_known": None,
    "usage": None,
}
"""What is known of the end of an attempt that has not ended."""

COUNTS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "images", "searches", "calls")

Answer = Made | AttemptFailed | WorkflowFailed
"""What says in words how an attempt ended."""

ANSWERS: tuple[type[Answer], ...] = get_args(Answer)

OfAttempt = WorkClaimed | Answer
"""What names a work, a run and an attempt."""

OF_ATTEMPT: tuple[type[OfAttempt], ...] = get_args(OfAttempt)


def told_works(asked: WorkflowRequested, history: History) -> list[Row]:
    """Each work, with where it stands and its attempts."""
    return [_work(work, history) for work in _works_in_order(asked, history)]


def _works_in_order(asked: WorkflowRequested, history: History) -> list[Work]:
    """Those that were asked for; behind them any other, as they first occur."""
    named = [_named(one.event) for one in history if isinstance(one.event, OfAttempt)]
    return list(dict.fromkeys([*works(asked), *named]))


def _work(work: Work, history: History) -> Row:
    begun = [one for one in _of_work(work, history) if _begins(one, _of_work(work, history))]
    return {
        "work": work.value,
        "status": _work_status(work, history),
        "attempts": [_attempt(beginning, work, history) for beginning in begun],
        "usage": _told_usage(_of_work(work, history), history),
    }


def _work_status(work: Work, history: History) -> str:
    """Made once is made for good; else the last event decides that is about this work, or about the whole run."""
    if any(isinstance(one.event, Made) for one in _of_work(work, history)):
        return "made"
    of_all = [one for one in history if isinstance(one.event, WorkflowCancelled | WorkflowResumed)]
    concerning = [*_of_work(work, history), *of_all]
    if not concerning:
        return "missing"
    return WORK_STATUS[type(max(concerning, key=_revision).event)]


def _begins(one: Recorded[OfAttempt], told: Sequence[Recorded[OfAttempt]]) -> bool:
    """Does an attempt begin here? With each claim; and with an answer to an attempt that nobody claimed before."""
    earlier = [_number(other.event) for other in told if other.revision < one.revision]
    return isinstance(one.event, WorkClaimed) or _number(one.event) not in earlier


def _attempt(beginning: Recorded[OfAttempt], work: Work, history: History) -> Row:
    claim = beginning.event if isinstance(beginning.event, WorkClaimed) else None
    run, attempt = _number(beginning.event)
    return {
        "run": run,
        "attempt": attempt,
        "worker": claim.worker if claim else None,
        "claimed_at": _text(beginning.recorded_at) if claim else None,
        **_end(beginning, work, history),
    }


def _end(beginning: Recorded[OfAttempt], work: Work, history: History) -> Row:
    """How the attempt ended. What was said of it last counts, however late; silence counts where nothing was said."""
    answers = _answers(beginning, work, history)
    if answers:
        return {**RUNNING, **_told_end(answers[-1])}
    silencer = _silencer(beginning, work, history)
    if silencer is None:
        return RUNNING
    outcome = "called-off" if isinstance(silencer.event, WorkflowCancelled) else "lost"
    return {**RUNNING, "outcome": outcome, "ended_at": _text(silencer.recorded_at), "cost_known": False}


def _told_end(answer: Recorded[Answer]) -> Row:
    event = answer.event
    told = {
        "ended_at": _text(answer.recorded_at),
        "cost_known": not _hides_cost(event),
        "usage": dump(event.usage),
    }
    if isinstance(event, AttemptFailed):
        return {**told, "error": failure(event), "retry_at": _text(event.retry_at), "outcome": "failed"}
    if isinstance(event, WorkflowFailed):
        return {**told, "error": failure(event), "outcome": "gave-up"}
    return {**told, "outcome": "made"}


def _answers(beginning: Recorded[OfAttempt], work: Work, history: History) -> list[Recorded[Answer]]:
    """What was said of the attempt that begins here, until another claim takes the same number."""
    same = [one for one in _of_work(work, history) if _number(one.event) == _number(beginning.event)]
    taken = [one.revision for one in after(beginning, same) if isinstance(one.event, WorkClaimed)]
    until = min(taken, default=history[-1].revision + 1)
    return [one for one in every(same, *ANSWERS) if beginning.revision <= one.revision < until]


def _silencer(beginning: Recorded[OfAttempt], work: Work, history: History) -> Recorded[Event] | None:
    """The event that ended the attempt without a word of its own: the work's next claim, a cancel, or a resume."""
    ending = (one for one in after(beginning, history) if _silences(one.event, work))
    return next(ending, None)


def _silences(event: Event, work: Work) -> bool:
    if isinstance(event, WorkClaimed):
        return event.work is work
    return isinstance(event, WorkflowCancelled | WorkflowResumed)


# ---------------------------------------------------------------- what they used


def told_usage(history: History) -> Row:
    """What all works used, and whether that is all."""
    return _told_usage(every(history, *OF_ATTEMPT), history)


def _told_usage(told: Sequence[Recorded[OfAttempt]], history: History) -> Row:
    """What these events tell of usage, and whether that is all that was used for the attempts that they name."""
    answers, claims = every(told, *ANSWERS), every(told, WorkClaimed)
    used = [one.event.usage for one in answers if one.event.usage is not None]
    costs = [usage.cost_usd for usage in used if usage.cost_usd is not None]
    is_silent = any(_fell_silent(claim, history) for claim in claims)
    return {
        **{name: sum(getattr(usage, name) for usage in used) for name in COUNTS},
        "cost_usd": reduce(_plus, costs, 0.0),
        "cost_known": not is_silent and not any(_hides_cost(one.event) for one in answers),
    }


def _plus(one: float, other: float) -> float:
    """The two as they are written, not as a computer's binary fractions: 0.1 and 0.2 are 0.3."""
    return float(Decimal(repr(one)) + Decimal(repr(other)))


def _hides_cost(event: Answer) -> bool:
    """Has it no price, or may a failure have been billed for more than it tells?"""
    is_priced = event.usage is None or event.usage.cost_usd is not None
    return not is_priced or (isinstance(event, AttemptFailed | WorkflowFailed) and not event.cost_known)


def _fell_silent(claim: Recorded[WorkClaimed], history: History) -> bool:
    """Was the attempt ended without a word, before anything was said of it?"""
    silencer = _silencer(claim, claim.event.work, history)
    if silencer is None:
        return False
    return not any(one.revision < silencer.revision for one in _answers(claim, claim.event.work, history))


# ---------------------------------------------------------------- asking an event


def _of_work(work: Work, history: History) -> list[Recorded[OfAttempt]]:
    """Every event that names this work."""
    return [one for one in every(history, *OF_ATTEMPT) if _named(one.event) is work]


def _named(event: OfAttempt) -> Work:
    return work_of(event) if isinstance(event, Made) else event.work


def _number(event: OfAttempt) -> tuple[int, int]:
    return event.run, event.attempt


def _revision(one: Recorded[Event]) -> int:
    return one.revision


def failure(event: AttemptFailed | WorkflowFailed) -> Row:
    """Why it failed, as jsonb has it."""
    return {"code": event.error.code, "message": event.error.message, "retryable": event.error.retryable}


def dump(usage: Usage | None) -> Row | None:
    """What was used, as jsonb has it."""
    return usage.model_dump(mode="json") if usage else None


def _text(moment: datetime) -> str:
    return moment.isoformat()
