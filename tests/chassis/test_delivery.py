"""What a delivery does next: the rules of the delivery protocol, one row each."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis.delivery import Ack, ClaimNext, Complete, GiveUpOn, Leave, Memory, Nak, Step, Wait, next_step
from contracts.events import (
    AttemptFailed,
    BlogWritten,
    Event,
    Failure,
    SocialPostWritten,
    WorkClaimed,
    WorkflowCancelled,
    WorkflowRequested,
    WorkflowResumed,
)
from contracts.platforms import Platform
from contracts.services import STAGES, WRITER
from contracts.workflow import ATTEMPTS_MAX, fold
from contracts.works import Work
from tests.contracts.given import drawn

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOON, LATER = NOW + timedelta(seconds=5), NOW + timedelta(seconds=50)
X, LINKEDIN = Work.SOCIAL_X, Work.SOCIAL_LINKEDIN

REQUESTED = WorkflowRequested(topic="Tea", research=False, platforms=(Platform.X, Platform.LINKEDIN))
BLOG = BlogWritten(run=1, attempt=1, title="Tea", markdown="Tea.")
DRAWN = drawn()


def claim(work: Work, attempt: int = 1, run: int = 1) -> WorkClaimed:
    return WorkClaimed(work=work, run=run, attempt=attempt, worker="w")


def failed(work: Work, retry_at: datetime, attempt: int = 1) -> AttemptFailed:
    error = Failure(code="busy", message="Busy.", retryable=True)
    return AttemptFailed(work=work, run=1, attempt=attempt, error=error, retry_at=retry_at, cost_known=True)


def posted(platform: Platform) -> SocialPostWritten:
    return SocialPostWritten(run=1, attempt=1, platform=platform, text="Tea.", length=4)


POSTED = (posted(Platform.X), posted(Platform.LINKEDIN))
USED_UP = tuple(claim(Work.BLOG, attempt) for attempt in range(1, ATTEMPTS_MAX + 1))

# The history; what the delivery remembers: revision, length of its first read, own claims, running works; what it does.
Row = tuple[tuple[Event, ...], Memory, Step]
ROWS: dict[str, Row] = {
    "nothing happened yet": ((), Memory(1, 0), Ack()),
    "a due work of mine is claimed": ((REQUESTED,), Memory(1, 1), ClaimNext(Work.BLOG)),
    "a work that another message guards is not mine": ((REQUESTED, BLOG), Memory(1, 2), Ack()),
    "works of one message are claimed one after the other": ((REQUESTED, BLOG), Memory(2, 2), ClaimNext(X)),
    "a running work is not claimed again": (
        (REQUESTED, BLOG, claim(X)),
        Memory(2, 2, own_claims={3}, running={X}),
        ClaimNext(LINKEDIN),
    ),
    "all works under way are waited for": (
        (REQUESTED, BLOG, claim(X), claim(LINKEDIN)),
        Memory(2, 2, own_claims={3, 4}, running={X, LINKEDIN}),
        Wait(None),
    ),
    "a retry meanwhile bounds the waiting": (
        (REQUESTED, BLOG, claim(X), claim(LINKEDIN), failed(X, SOON)),
        Memory(2, 2, own_claims={3, 4}, running={LINKEDIN}),
        Wait(SOON),
    ),
    "an old open claim means a silent holder": (
        (REQUESTED, claim(Work.BLOG)),
        Memory(1, 2),
        ClaimNext(Work.BLOG),
    ),
    "a newer claim of another is left to it": ((REQUESTED, claim(Work.BLOG)), Memory(1, 1), Leave()),
    "a newer claim stays another's after it failed": (
        (REQUESTED, claim(Work.BLOG), failed(Work.BLOG, NOW)),
        Memory(1, 1),
        Leave(),
    ),
    "my own claim that failed may be tried again": (
        (REQUESTED, claim(Work.BLOG), failed(Work.BLOG, NOW)),
        Memory(1, 1, own_claims={2}),
        ClaimNext(Work.BLOG),
    ),
    "a retry ahead is a nak until then": (
        (REQUESTED, claim(Work.BLOG), failed(Work.BLOG, SOON)),
        Memory(1, 3),
        Nak(SOON),
    ),
    "the soonest of several retries counts": (
        (REQUESTED, BLOG, claim(X), claim(LINKEDIN), failed(X, LATER), failed(LINKEDIN, SOON)),
        Memory(2, 6),
        Nak(SOON),
    ),
    "one that was taken over outweighs a retry": (
        (REQUESTED, BLOG, claim(X), failed(X, SOON), claim(LINKEDIN)),
        Memory(2, 4),
        Leave(),
    ),
    "attempts used up end in giving up": ((REQUESTED, *USED_UP), Memory(1, 6), GiveUpOn(Work.BLOG)),
    "a new run brings new attempts": (
        (REQUESTED, *USED_UP, WorkflowCancelled(run=1), WorkflowResumed(run=2)),
        Memory(8, 8),
        ClaimNext(Work.BLOG),
    ),
    "the message of an old run is done": (
        (REQUESTED, WorkflowCancelled(run=1), WorkflowResumed(run=2)),
        Memory(1, 3),
        Ack(),
    ),
    "nothing is due in a closed run": ((REQUESTED, WorkflowCancelled(run=1)), Memory(1, 2), Ack()),
    "another stage's missing work is no reason to stay": ((REQUESTED, BLOG, *POSTED), Memory(2, 4), Ack()),
    "whoever sees all artefacts completes": ((REQUESTED, BLOG, *POSTED, DRAWN), Memory(2, 5), Complete()),
    "completing is no matter of the message": ((REQUESTED, BLOG, *POSTED, DRAWN), Memory(1, 5), Complete()),
}


@pytest.mark.parametrize(("events", "memory", "step"), ROWS.values(), ids=ROWS.keys())
def test_delivery_follows_the_protocol(events: tuple[Event, ...], memory: Memory, step: Step) -> None:
    assert next_step(fold(events), STAGES[WRITER], memory, NOW) == step
