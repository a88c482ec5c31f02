"""Calls made again: which of them asked for what a process had been told already, and with nothing to excuse it.

A call is excused for the ones behind it where the model itself spoilt it, where its own process was disturbed while it
was under way or its answer was being kept, or where it had not been answered yet when the log, the end of its run or
its own deadline took the work away from it; and a call is excused whose process was stopped right before it. An answer
that has reached a living process is to be used, by whoever comes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from chaos.checker import telling
from chaos.checker.disturbances import Blow, Disturbance, blows, disturbances
from chaos.checker.log import CLOSING, Story
from chaos.checker.record import CannotBeChecked, Record
from chaos.checker.shapes import Answer, Call
from contracts.envelope import Recorded
from contracts.events import AttemptFailed, Event, WorkClaimed, WorkflowFailed, WorkflowResumed
from contracts.websocket import work_concerned
from contracts.works import Work

KEPT_WITHIN_S = 0.5
"""From the last byte of an answer on its way to a process until it is in the file in which it is kept. It is a few
milliseconds where nothing else runs; in a run of chaos the process waits for its turn among twenty, up to 0.3 s.
"""

CLOCKS_S = 0.05
"""The model notes the end of a call a moment after the last byte has left, the record an event a moment after it was
stored."""

SEEN_LATE_S = 0.5
"""A proxy may come to what a process said only after its end; another process in its place takes seconds to start."""

AWAKE_WITHIN_S = 1.0
"""A process that was stopped between its claim and its call goes on with the call, before it reads anything."""

ATTEMPT_MAX_S = 20.0
"""An attempt is given up after its deadline, which is 15 s in a run of chaos."""

SPOILING = ("answer-malformed", "content-refused", "unexpected")
"""Failures after which an answer that came is not used again (docs/reliability.md, what is made anew)."""


@dataclass(frozen=True)
class Paid:
    """A call, the process that made it, and when its whole answer had left for that process; None: it never did."""

    call: Call
    process: str
    asked_at: float
    """The model's own list may tell a later moment: it has much to do."""
    arrived_at: float | None

    @property
    def is_spoilt(self) -> bool:
        """Has the model itself seen to it that this brings nothing?"""
        return self.call.is_spoilt or self.call.status not in (200, None)

    @property
    def safe_at(self) -> float:
        """From then on its answer is kept, whatever becomes of its process."""
        return float("inf") if self.arrived_at is None else self.arrived_at + KEPT_WITHIN_S

    @property
    def over_at(self) -> float:
        """From then on nothing that is done to its process explains that nobody has its answer."""
        ended_at = self.call.ended_at if self.arrived_at is None else self.arrived_at
        return float("inf") if ended_at is None else ended_at + KEPT_WITHIN_S


@dataclass(frozen=True)
class Again:
    """A call, and one before it that asked the same. `is_excused`: each one before it was of no use to it."""

    earlier: Paid
    later: Paid
    is_excused: bool
    was_just_told: bool = False
    """Its process had the answer, and hardly any time to keep it."""

    def in_words(self) -> str:
        """How it stands with the answer of the earlier one."""
        arrived, number, process = self.earlier.arrived_at, self.earlier.call.number, self.earlier.process
        if arrived is None:
            return f"while call {number} of {process}, which nothing disturbed, had no answer"
        gap = self.later.asked_at - arrived
        if gap < 0:
            return f"{-gap:.1f} s before the answer to call {number} had reached {process}, which nothing disturbed"
        return f"{gap:.1f} s after the answer to call {number} had reached {process}, which had time to keep it"


@dataclass(frozen=True)
class Callers:
    """Who made which call, and what was done to whom meanwhile."""

    record: Record
    faults: Sequence[Disturbance]

    @classmethod
    def of(cls, record: Record) -> "Callers":
        """Raises CannotBeChecked for a fault of which nobody knows what it may do."""
        return cls(record, disturbances(record))

    def paid(self, call: Call) -> Paid:
        """The call with what the proxies saw of it. Raises CannotBeChecked."""
        asked = self._asked.get(call.call or "")
        if asked is None:
            raise CannotBeChecked(f"call {call.number} of the model stands in answers.jsonl under no process")
        arrived = self._arrived.get(asked.call)
        return Paid(call, asked.process, asked.at, arrived.at if arrived else None)

    def again(self, work: Work, stories: Sequence[Story], calls: Sequence[Call], *, drafts: int) -> Iterator[Again]:
        """The calls for one work that asked what an earlier one had asked.

        `drafts`: how many different texts one attempt asks for. Several workflows of one topic each ask once.
        """
        paid = sorted((self.paid(call) for call in calls), key=lambda one: one.asked_at)
        others = dict.fromkeys((call.kind for call in calls), len(stories) - 1)
        for place, later in enumerate(paid):
            before = [one for one in paid[:place] if _asks_the_same(one, later, paid, drafts)]
            wrong = [one for one in before if not self._is_excused(one, later, work, stories)]
            if wrong and others[later.call.kind]:
                others[later.call.kind] -= 1
            elif before:
                earlier = (wrong or before)[-1]
                was_told = earlier.arrived_at is not None and not earlier.is_spoilt
                just_told = was_told and self._was_disturbed(earlier, later)
                yield Again(earlier, later, not wrong, just_told)

    # ------------------------------------------------------------ excuses

    def _is_excused(self, earlier: Paid, later: Paid, work: Work, stories: Sequence[Story]) -> bool:
        if earlier.is_spoilt or self._was_disturbed(earlier, later):
            return True
        if self._woke_with_it_in_hand(later):
            return True
        if earlier.safe_at <= later.asked_at:
            return self._was_of_no_use(earlier, later, work, stories)
        return self._was_taken_away(earlier, later, work, stories)

    def _was_disturbed(self, earlier: Paid, later: Paid) -> bool:
        """Was anything done to its own process, from its beginning until its answer was safe?"""
        until = min(earlier.over_at, later.asked_at)
        return any(
            blow.since <= until and blow.until >= earlier.asked_at - SEEN_LATE_S
            for blow in self._blows.get(earlier.process, ())
        )

    def _woke_with_it_in_hand(self, later: Paid) -> bool:
        """Was its process stopped behind its claim, so that it could not know of anything that came meanwhile?"""
        return any(
            blow.is_a_stop and blow.since <= later.asked_at <= blow.until + AWAKE_WITHIN_S
            for blow in self._blows.get(later.process, ())
        )

    def _was_of_no_use(self, earlier: Paid, later: Paid, work: Work, stories: Sequence[Story]) -> bool:
        """Was a failure recorded that makes a stage forget the answer?"""
        return any(code in SPOILING for code in self._failures(earlier, later, work, stories))

    def _was_taken_away(self, earlier: Paid, later: Paid, work: Work, stories: Sequence[Story]) -> bool:
        """Without an answer yet: was its attempt given up, its run closed, or its message given to somebody else?"""
        since, until = earlier.asked_at, later.asked_at
        return (
            any(since - CLOCKS_S <= at <= until + CLOCKS_S for at in self._ends(stories))
            or any(fault.takes_away(work, since, until) for fault in self.faults)
            or any(self._outlived_its_run(story, work, since, until) for story in stories)
            or any(True for _ in self._failures(earlier, later, work, stories))
        )

    def _outlived_its_run(self, story: Story, work: Work, since: float, until: float) -> bool:
        """Was a new run opened while an attempt of the one before went on? What that brings is recorded as well."""
        for opened in story.recorded:
            at = telling.time_of(self.record, opened)
            if not isinstance(opened.event, WorkflowResumed) or not since - ATTEMPT_MAX_S <= at <= until + CLOCKS_S:
                continue
            attempts = {_attempt(one) for one in story.recorded if _is_claim(one, work)}
            before = [one for one in attempts if one[0] < opened.event.run]
            if any(self._told_at(story, attempt, work) >= max(at, since) for attempt in before):
                return True
        return False

    def _told_at(self, story: Story, attempt: tuple[int, int], work: Work) -> float:
        """When the log tells what came of an attempt; infinity where it never does."""
        told = [one for one in story.recorded if work_concerned(one.event) is work and not _is_claim(one, work)]
        ends = [telling.time_of(self.record, one) for one in told if _attempt(one) == attempt]
        return min(ends, default=float("inf"))

    def _failures(self, earlier: Paid, later: Paid, work: Work, stories: Sequence[Story]) -> Iterator[str]:
        """Codes of the failures of this work that were recorded between the beginnings of the two."""
        for story in stories:
            for one in story.recorded:
                if not isinstance(one.event, AttemptFailed | WorkflowFailed) or one.event.work is not work:
                    continue
                at = telling.time_of(self.record, one)
                if earlier.asked_at - CLOCKS_S <= at <= later.asked_at + CLOCKS_S:
                    yield one.event.error.code

    def _ends(self, stories: Sequence[Story]) -> Iterator[float]:
        """When their runs were closed."""
        for story in stories:
            yield from (telling.time_of(self.record, one) for one in story.recorded if isinstance(one.event, CLOSING))

    @cached_property
    def _asked(self) -> Mapping[str, Answer]:
        return {one.call: one for one in self.record.answers if one.phase == "asked"}

    @cached_property
    def _arrived(self) -> Mapping[str, Answer]:
        return {one.call: one for one in self.record.answers if one.phase == "answered"}

    @cached_property
    def _blows(self) -> Mapping[str, Sequence[Blow]]:
        return blows(self.record)


def _attempt(one: Recorded[Event]) -> tuple[int, int]:
    return getattr(one.event, "run", 0), getattr(one.event, "attempt", 0)


def _is_claim(one: Recorded[Event], work: Work) -> bool:
    return isinstance(one.event, WorkClaimed) and one.event.work is work


def _asks_the_same(one: Paid, later: Paid, paid: Sequence[Paid], drafts: int) -> bool:
    """Is the later one's question that of this one? Another scene is another picture, a second draft another text."""
    if one.call.kind != later.call.kind:
        return False
    if one.call.question == later.call.question:
        return True
    if one.call.kind == "image":
        return not any(each.call.kind == "scene" and one.asked_at < each.asked_at <= later.asked_at for each in paid)
    return drafts == 1
