"""Invariant 9: what may be paid for, how often, and when."""

from datetime import timedelta

import pytest

from chaos.checker.invariants import paid_calls
from chaos.checker.record import CannotBeChecked
from chaos.checker.shapes import Call, Happening
from contracts.works import Work
from tests.chaos.checker.given import WHOLE, a_run, at, breaks, call, happening, holds
from tests.contracts.given import (
    NOON,
    USAGE,
    attempt_failed,
    blog_written,
    cancelled,
    claimed,
    drawn,
    gave_up,
    requested,
    resumed,
)

CRASHED = [requested(), claimed("blog"), claimed("blog", 2), blog_written(2), cancelled()]
"""The first attempt ended without a word."""


def paid(*moments: float) -> list[Call]:
    """Calls for the blog post, each beginning at a moment between two revisions."""
    return [call("blog", at(0) + 10 * moment, number=n) for n, moment in enumerate(moments, start=1)]


def crash(revision: float, target: str = "writer", kind: str = "call") -> list[Happening]:
    """A fault that may cost a call, and is healed seven seconds later."""
    fired = happening(kind, at(0) + 10 * revision, step=1, target=target, phase="fired")
    healed = happening(kind, fired.at + 7, step=1, target=target, phase="healed")
    return [fired, healed, happening("calm", at(9)), happening("end", at(9))]


class TestHowMany:
    def test_a_call_for_each_answer_holds(self) -> None:
        assert holds(paid_calls.check, a_run()).looked_at == {"calls": 4, "works": 3, "duplicates": 0}

    def test_attempt_that_failed_is_paid_for_as_well(self) -> None:
        holds(
            paid_calls.check,
            a_run(
                [requested(), claimed("blog"), attempt_failed("blog"), claimed("blog", 2), blog_written(2), cancelled()]
            ),
        )

    def test_second_call_without_any_fault_is_found(self) -> None:
        found = breaks(paid_calls.check, a_run(CRASHED, calls=paid(1.5, 2.5)), "1 answered, and 0 may be in vain")
        assert found.looked_at["duplicates"] == 1

    def test_crash_pays_for_one_more(self) -> None:
        holds(paid_calls.check, a_run(CRASHED, calls=paid(1.5, 2.5), happened=crash(1.6)))

    def test_crash_of_another_stage_pays_for_nothing(self) -> None:
        found = a_run(CRASHED, calls=paid(1.5, 2.5), happened=crash(1.6, "illustrator"))
        breaks(paid_calls.check, found, "0 may be in vain")

    def test_crash_long_before_pays_for_nothing(self) -> None:
        breaks(paid_calls.check, a_run(CRASHED, calls=paid(1.5, 2.5), happened=crash(-9)), "0 may be in vain")

    def test_each_ack_wait_of_a_stall_pays_for_one_more(self) -> None:
        events = [requested(), *(claimed("blog", n) for n in (1, 2, 3)), blog_written(3), cancelled()]
        calls = paid(1.5, 2.5, 3.5)
        holds(paid_calls.check, a_run(events, calls=calls, happened=crash(1.6, "writer-1", "zombie")))
        breaks(paid_calls.check, a_run(events, calls=calls, happened=crash(1.6)), "1 may be in vain")

    def test_run_that_was_closed_with_the_call_in_flight_pays_for_one_more(self) -> None:
        events = [requested(), claimed("blog"), cancelled(), resumed(), claimed("blog", run=2), blog_written(run=2)]
        holds(paid_calls.check, a_run(events, calls=paid(1.5, 5.5)))

    def test_success_behind_a_failure_is_recorded_and_pays_for_no_other(self) -> None:
        events = [
            *WHOLE[:3],
            claimed("illustration"),
            claimed("social:linkedin"),
            gave_up("social:linkedin"),
            resumed(),
            claimed("illustration", run=2),
            drawn(run=2),
        ]
        scenes = [call("scene", at(moment), work=Work.ILLUSTRATION, number=int(moment)) for moment in (5.9, 8.5)]
        told = [*paid(2.5), *scenes]
        breaks(paid_calls.check, a_run(events, calls=told), "2 scene calls for illustration: 1 answered")
        lost = [*paid(2.5), scenes[0].model_copy(update={"outcome": "client-gone"}), scenes[1]]
        holds(paid_calls.check, a_run(events, calls=lost))

    def test_call_without_a_claim_is_found(self) -> None:
        breaks(
            paid_calls.check, a_run(calls=paid(1.5, 1.6), happened=crash(1.6)), "2 blog calls for blog, and 1 claims"
        )

    def test_second_draft_is_told_in_the_usage(self) -> None:
        twice = blog_written().model_copy(update={"usage": USAGE.model_copy(update={"calls": 2})})
        events = [requested(), claimed("blog"), twice, cancelled()]
        holds(paid_calls.check, a_run(events, calls=paid(1.5, 1.7)))
        breaks(paid_calls.check, a_run(events, calls=paid(1.5, 1.7, 1.8)), "3 blog calls")

    def test_scene_and_picture_are_counted_apart(self) -> None:
        calls = [*a_run().calls, call("image", at(6) + 1, number=9, work=Work.ILLUSTRATION)]
        breaks(paid_calls.check, a_run(calls=calls), "2 image calls for illustration, and 1 claims")

    def test_call_that_nobody_asked_for_is_found(self) -> None:
        calls = [*a_run().calls, call("blog", at(1), topic="Coffee")]
        breaks(paid_calls.check, a_run(calls=calls), "no workflow asked for")

    def test_fault_whose_cost_nobody_knows_cannot_be_judged(self) -> None:
        unknown = [happening("meteorite", at(1), phase="fired"), *crash(1)]
        with pytest.raises(CannotBeChecked, match="meteorite"):
            paid_calls.check(a_run(happened=unknown))


class TestWhen:
    LIMITED = attempt_failed("blog", retry_at=NOON + timedelta(seconds=30))
    EVENTS = (requested(), claimed("blog"), LIMITED, claimed("blog", 2), blog_written(2), cancelled())

    def limited(self, second: float) -> list[Call]:
        """A call that is told to wait for 15 s when it ends, 17 s after the start, and the next one."""
        first = call("blog", at(1) + 5, ended_at=at(1) + 7, status=429, retry_after=15.0)
        return [first, call("blog", at(0) + second, number=2)]

    def test_call_behind_its_retry_after_holds(self) -> None:
        holds(paid_calls.check, a_run(self.EVENTS, calls=self.limited(32.5)))

    def test_call_before_its_retry_after_is_found(self) -> None:
        events = (*self.EVENTS[:2], self.LIMITED, *self.EVENTS[3:])
        calls = self.limited(31)
        breaks(paid_calls.check, a_run(events, calls=calls), "1.0 s before its Retry-After of 15 s")

    def test_retry_after_that_nobody_lived_to_record_binds_nobody(self) -> None:
        calls = self.limited(31)
        holds(paid_calls.check, a_run(CRASHED, calls=calls, happened=crash(1.8)))

    @pytest.mark.parametrize(("status", "code"), [(429, "insufficient_quota"), (401, None), (400, None)])
    def test_call_behind_a_refusal_for_good_is_found(self, status: int, code: str | None) -> None:
        refused = call("blog", at(1) + 5, ended_at=at(1) + 7, status=status, code=code)
        calls = [refused, call("blog", at(4) + 1, number=2)]
        breaks(paid_calls.check, a_run(self.EVENTS, calls=calls), f"paid for again behind {status}")
        holds(paid_calls.check, a_run(CRASHED, calls=[refused, *paid(2.5)], happened=crash(1.8)))

    def test_call_after_giving_up_is_found(self) -> None:
        events = [requested(), claimed("blog"), claimed("blog", 2), gave_up("blog", 2)]
        breaks(paid_calls.check, a_run(events, calls=paid(1.5, 5), happened=crash(-9)), "behind workflow-failed")

    def test_call_for_a_cancelled_workflow_is_found(self) -> None:
        events = [requested(), claimed("blog"), cancelled()]
        found = breaks(paid_calls.check, a_run(events, calls=paid(3.5)), "5.0 s behind workflow-cancelled")
        assert "paid call 1 (blog)" in "\n".join(found.words())

    def test_call_that_was_on_its_way_when_the_run_was_closed_holds(self) -> None:
        events = [requested(), claimed("blog"), cancelled()]
        holds(paid_calls.check, a_run(events, calls=paid(3.05)))

    def test_cancel_that_a_fault_may_have_kept_away_has_a_longer_grace(self) -> None:
        events = [requested(), claimed("blog"), cancelled()]
        holds(paid_calls.check, a_run(events, calls=paid(3.9), happened=crash(2.9)))
        breaks(paid_calls.check, a_run(events, calls=paid(4.5), happened=crash(2.9)), "behind workflow-cancelled")

    def test_resume_allows_calls_again(self) -> None:
        events = [requested(), claimed("blog"), gave_up("blog"), resumed(), claimed("blog", run=2), blog_written(run=2)]
        holds(paid_calls.check, a_run(events, calls=paid(1.5, 5.5)))

    def test_works_of_a_run_that_failed_elsewhere_may_go_on(self) -> None:
        events = [*WHOLE[:3], claimed("illustration"), claimed("social:linkedin"), gave_up("social:linkedin")]
        calls = [
            *paid(2.5),
            call("scene", at(4) + 1, work=Work.ILLUSTRATION),
            call("social", at(5) + 1, work=Work.SOCIAL_LINKEDIN),
            call("image", at(8), work=Work.ILLUSTRATION),
        ]
        holds(paid_calls.check, a_run(events, calls=calls))
