"""What a delivery does next: the rules of the delivery protocol, as one pure function.

A delivery is only a hint that something may be due; what is due is read from the history. These rules were checked as a
model over millions of states: without any one of them a work is paid for twice, recorded twice or left lying.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from contracts.workflow import ATTEMPTS_MAX, Workflow, completion_is_due, due, guard
from contracts.works import Kind, Work


@dataclass(frozen=True)
class ClaimNext:
    """Claim the next attempt at this work, then do it."""

    work: Work


@dataclass(frozen=True)
class GiveUpOn:
    """Its attempts are used up: give the work up."""

    work: Work


@dataclass(frozen=True)
class Complete:
    """Every artefact exists: close the run."""


@dataclass(frozen=True)
class Wait:
    """Works of this delivery are under way; look again when one ends, or at `until` when a retry comes due."""

    until: datetime | None


@dataclass(frozen=True)
class Leave:
    """Another holder of this message took over: say nothing, it will settle."""


@dataclass(frozen=True)
class Nak:
    """A retry lies ahead: have the message delivered again at `until`."""

    until: datetime


@dataclass(frozen=True)
class Ack:
    """Nothing of this message is left to do."""


Step = ClaimNext | GiveUpOn | Complete | Wait | Leave | Nak | Ack


@dataclass
class Memory:
    """What a delivery remembers: its event's revision, how far its first read went, its own claims, running works."""

    revision: int
    first_read: int
    own_claims: set[int] = field(default_factory=set[int])
    running: set[Work] = field(default_factory=set[Work])


def next_step(state: Workflow, kinds: Collection[Kind], memory: Memory, now: datetime) -> Step:
    """What the delivery does next, having read `state`. `kinds`: those of its stage."""
    taken_over, retries = False, list[datetime]()
    for work in _mine(state, kinds, memory):
        was = state.of(work)
        if was.claimed_at > memory.first_read and was.claimed_at not in memory.own_claims:
            taken_over = True  # a claim newer than my first read and not my own: another holder has it now
        elif was.retry_at is not None and now < was.retry_at:
            retries.append(was.retry_at)
        else:  # an older open claim means that its holder was silent for ack_wait
            return ClaimNext(work) if was.attempts < ATTEMPTS_MAX else GiveUpOn(work)
    if memory.running:
        return Wait(min(retries, default=None))
    if completion_is_due(state):
        return Complete()
    if taken_over:
        return Leave()
    if retries:
        return Nak(min(retries))
    return Ack()


def _mine(state: Workflow, kinds: Collection[Kind], memory: Memory) -> list[Work]:
    """Due works of my stage that this message guards, less those that I am at already."""
    return [
        work
        for work in due(state)
        if work.kind in kinds and work not in memory.running and guard(state, work) == memory.revision
    ]
