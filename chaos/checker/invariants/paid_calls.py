"""9: an answer that was received is used; no call is made before its time, nor for what is over.

A call is in vain where the same was asked before and the answer had reached a process that lived on, or would have
(chaos/checker/again.py). And there are never more calls than claims: a call without a claim of its own is one that
nobody may make.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from chaos.checker import telling
from chaos.checker.again import KEPT_WITHIN_S, Again, Callers
from chaos.checker.damage import lost, lost_workflows
from chaos.checker.disturbances import Disturbance
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.log import CLOSING, Story
from chaos.checker.record import Record
from chaos.checker.shapes import Call
from contracts.envelope import Recorded
from contracts.events import (
    Artefact,
    AttemptFailed,
    Event,
    WorkClaimed,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowResumed,
    work_of,
)
from contracts.platforms import Platform
from contracts.works import Work

RULE = "an answer that was received is used, and no call is paid for in vain"

PAID_TWICE_SHARE_MAX = 0.001
"""Of all calls. An answer can be lost in the milliseconds before it is kept; that is all that may be left of it."""

PICTURE_TOPIC_LENGTH_MAX = 300
"""The prompt of a picture tells so much of a topic."""

CLOCKS_S = 0.05
"""The model notes the end of a call a moment after the last byte has left."""

IN_FLIGHT_S = 1.0
"""Between the read that shows a claim to be open and the call: a process that has to wait for its turn on a full
machine. A call that begins later behind the end of its run was begun for what is over."""

LOOKS_AGAIN_S = 12.0
"""Where the message of a cancel was lost a stage reads every 10 s; and the read takes its time."""

REFUSED_FOR_GOOD = (400, 401, 403, 404, 422)
QUOTA_CODES = (
    "insufficient_quota",
    "credit_balance_exhausted",
    "billing_hard_limit_reached",
    "billing_not_active",
    "quota_exceeded",
)
"""Answers after which another try of the same run would be in vain, whatever the stage made of them."""

SECOND_DRAFTS = ("blog", "social")
"""Works of which one attempt may make two calls of a kind, and then its usage says so."""


def check(record: Record) -> Finding:
    """The model's own list of calls, held against the claims and the ends in the log, and the faults."""
    works = list(_works(record))
    again = [one for work in works for one in work.again]
    violations = [*_nobodys(record), *(wrong for work in works for wrong in work.wrong())]
    in_vain = sum(not one.is_excused for one in again)
    if is_above_the_bound(in_vain, len(record.calls)):
        violations += [wrong for work in works for wrong in work.paid_twice()]
    return finding(
        9,
        RULE,
        violations,
        calls=len(record.calls),
        works=len(works),
        made_again=len(again),
        in_vain=in_vain,
    )


def paid_twice(record: Record) -> str:
    """How much was paid for twice, in words."""
    again = [one for work in _works(record) for one in work.again]
    calls, wrong = len(record.calls), sum(not one.is_excused for one in again)
    just_told = sum(one.is_excused and one.was_just_told for one in again)
    return (
        f"Paid twice: {wrong} of {calls:,} calls ({wrong / max(1, calls):.2%}, at most {PAID_TWICE_SHARE_MAX:.1%}). "
        f"{len(again) - wrong} more were made again behind one that was spoilt, or lost with its process; "
        f"{just_told} of those had just been answered (up to {KEPT_WITHIN_S:g} s before)."
    )


def is_above_the_bound(in_vain: int, calls: int) -> bool:
    """Is it more than can be lost in the moment before an answer is kept?"""
    return in_vain > PAID_TWICE_SHARE_MAX * calls


@dataclass(frozen=True)
class _Work:
    """One work, and its calls. `stories`: the workflows of one topic, who cannot be told apart by the model."""

    record: Record
    stories: Sequence[Story]
    work: Work
    calls: Sequence[Call]
    callers: Callers

    def wrong(self) -> Iterator[Violation]:
        """What is wrong with its calls."""
        yield from self._without_a_claim()
        yield from self._before_their_time()
        yield from self._after_a_refusal()
        yield from self._for_what_is_over()

    # ------------------------------------------------------------ how many

    @cached_property
    def again(self) -> Sequence[Again]:
        """The calls that asked what had been asked before."""
        return [*self.callers.again(self.work, self.stories, self.calls, drafts=self._calls_a_claim)]

    @cached_property
    def _counts(self) -> dict[str, int]:
        return dict(Counter([call.kind for call in self.calls]))

    @cached_property
    def _claims(self) -> int:
        told = [one.event for story in self.stories for one in story.recorded]
        keys = {story.key.workflow_id for story in self.stories}
        gone = [one for one in lost(self.record).values() if ".work-claimed." in one.subject]
        forgiven = sum(one.subject.split(".")[2] in keys for one in gone)  # whichever work they were of
        return forgiven + sum(isinstance(event, WorkClaimed) and event.work is self.work for event in told)

    def _drafts(self, event: Event) -> int:
        usage = getattr(event, "usage", None)
        return 2 if self.work.kind in SECOND_DRAFTS and usage and usage.calls > 1 else 1

    @cached_property
    def _calls_a_claim(self) -> int:
        told = [one.event for story in self.stories for one in story.recorded if _answers(one.event, self.work)]
        return max((self._drafts(event) for event in told), default=1)

    def _without_a_claim(self) -> Iterator[Violation]:
        for kind, count in self._counts.items():
            if count > self._claims * self._calls_a_claim:
                told = f"{count} {kind} calls for {self.work}, and {self._claims} claims of it"
                yield self._violation(told, self.calls)

    def paid_twice(self) -> Iterator[Violation]:
        """The calls that asked for what had been answered, each with what was done to the system meanwhile."""
        for one in self.again:
            if one.is_excused:
                continue
            what = f"{self.work} is paid for again (call {one.later.call.number}, {one.later.call.kind})"
            since, until = one.earlier.asked_at, one.later.asked_at
            met = [fault for fault in self.callers.faults if fault.since <= until and fault.until >= since]
            yield self._violation(f"{what} {one.in_words()}", self.calls, met)

    # ------------------------------------------------------------ when

    def _before_their_time(self) -> Iterator[Violation]:
        """Calls before the Retry-After of one before, whose failure was recorded: else nobody could know of it."""
        for call in self.calls:
            if call.retry_after is None or call.ended_at is None:
                continue
            due = call.ended_at + call.retry_after - CLOCKS_S
            for later in self.calls:
                if call.ended_at <= later.began_at < due and self._knew(call.ended_at, later.began_at):
                    ahead = f"{due - later.began_at:.1f} s before its Retry-After of {call.retry_after:g} s"
                    yield self._violation(f"{self.work} is paid for again {ahead}", [call, later])
                    break

    def _after_a_refusal(self) -> Iterator[Violation]:
        for call in self.calls:
            if call.ended_at is None or not _is_refused_for_good(call):
                continue
            later = next((one for one in self.calls if one.began_at >= call.ended_at), None)
            if later and self._knew(call.ended_at, later.began_at):
                why = f"{call.status} {call.code or ''}".strip()
                yield self._violation(f"{self.work} is paid for again behind {why}", [call, later])

    def _knew(self, since: float, until: float) -> bool:
        """Was a failure of this work recorded between, and the run not opened anew?"""
        told = [one for story in self.stories for one in story.recorded]
        between = [one.event for one in told if since - CLOCKS_S <= self._at(one) <= until]
        failed = any(isinstance(event, AttemptFailed) and event.work is self.work for event in between)
        return failed and not any(isinstance(event, WorkflowResumed) for event in between)

    def _for_what_is_over(self) -> Iterator[Violation]:
        if len(self.stories) > 1:  # which of them a call was for, nobody knows
            return
        for end in self.stories[0].recorded:
            if not _forbids(end.event, self.work):
                continue
            closed_at = self._at(end)
            late = [call for call in self.calls if self._grace(closed_at) < call.began_at - closed_at]
            late = [call for call in late if call.began_at < self._reopened_at(closed_at)]
            if late:
                behind = f"{late[0].began_at - closed_at:.1f} s behind {end.event.type}"
                yield self._violation(f"{self.work} is paid for {behind}", late)

    def _reopened_at(self, closed_at: float) -> float:
        told = [one for one in self.stories[0].recorded if isinstance(one.event, WorkflowResumed)]
        return min((self._at(one) for one in told if self._at(one) > closed_at), default=float("inf"))

    def _grace(self, closed_at: float) -> float:
        """How long behind the end a call may still begin: longer where a fault may have kept the end from its stage."""
        met = [fault for fault in self.callers.faults if fault.reaches(self.work, closed_at)]
        if not met:
            return IN_FLIGHT_S
        return LOOKS_AGAIN_S + max(max(0.0, fault.until - closed_at) for fault in met)

    # ------------------------------------------------------------ telling

    def _at(self, one: Recorded[Event]) -> float:
        return telling.time_of(self.record, one)

    def _violation(self, what: str, calls: Sequence[Call], met: Sequence[Disturbance] = ()) -> Violation:
        told = [one for story in self.stories for one in story.recorded if _concerns(one.event, self.work)]
        return Violation(
            f"{' and '.join(story.key.workflow_id for story in self.stories)}: {what}",
            telling.in_order(
                telling.events(self.record, told),
                telling.calls(self.record, calls),
                telling.faults(self.record, [fault.happening for fault in met]),
            ),
        )


def _works(record: Record) -> Iterator[_Work]:
    """Every work for which a call was made, in the order of their first calls."""
    by_topic: dict[str, list[Story]] = {}
    for story in record.stories.values():
        if story.request:
            by_topic.setdefault(_topic(story.request.topic), []).append(story)
    found: dict[tuple[str, Work], list[Call]] = {}
    for call in sorted(record.calls, key=lambda one: one.began_at):
        if (work := _work(call)) and _topic(call.topic) in by_topic:
            found.setdefault((_topic(call.topic), work), []).append(call)
    callers = Callers.of(record)
    for (topic, work), calls in found.items():
        yield _Work(record, by_topic[topic], work, calls, callers)


def _is_refused_for_good(call: Call) -> bool:
    return call.status in REFUSED_FOR_GOOD or (call.status == 429 and call.code in QUOTA_CODES)


def _nobodys(record: Record) -> Iterator[Violation]:
    """Calls for what nobody asked for."""
    topics = {_topic(story.request.topic) for story in record.stories.values() if story.request}
    topics |= {_topic(topic) for topic in _topics_of_lost(record)}
    for call in record.calls:
        if _topic(call.topic) not in topics:
            told = telling.in_order(telling.calls(record, [call]))
            yield Violation("a call was paid for that no workflow asked for", told)


def _topics_of_lost(record: Record) -> Iterator[str]:
    """What clients asked for whose workflow was lost with the log's store."""
    gone = lost_workflows(record)
    asked = {one.id for one in record.clients if one.op == "request" and one.workflow_id in gone}
    for one in record.clients:
        if one.id in asked and one.body:
            yield str(one.body.get("topic", ""))


def _topic(topic: str) -> str:
    """As the model was told it: on one line."""
    return " ".join(topic.split())[:PICTURE_TOPIC_LENGTH_MAX]


def _work(call: Call) -> Work | None:
    match call.kind:
        case "research":
            return Work.RESEARCH
        case "blog":
            return Work.BLOG
        case "scene" | "image":
            return Work.ILLUSTRATION
        case "social" if (call.platform or "").lower() in [*Platform]:
            return Work.social(Platform((call.platform or "").lower()))
        case _:
            return None


def _answers(event: Event, work: Work) -> bool:
    """Does this event say how an attempt at the work ended?"""
    if isinstance(event, Artefact):
        return work_of(event) is work
    return isinstance(event, AttemptFailed | WorkflowFailed) and event.work is work


def _concerns(event: Event, work: Work) -> bool:
    is_claim = isinstance(event, WorkClaimed) and event.work is work
    return is_claim or _answers(event, work) or isinstance(event, (*CLOSING, WorkflowResumed))


def _forbids(end: Event, work: Work) -> bool:
    """Does this end forbid a call for the work? One of a run that failed elsewhere may have been begun."""
    return isinstance(end, WorkflowCancelled) or (isinstance(end, WorkflowFailed) and end.work is work)
