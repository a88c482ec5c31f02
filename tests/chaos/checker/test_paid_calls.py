"""Invariant 9: what may be paid for, how often, and when."""

from datetime import timedelta

import pytest

from chaos.checker.invariants import paid_calls
from chaos.checker.record import CannotBeChecked
from chaos.checker.shapes import Answer, Call, Happening
from contracts.works import Work
from tests.chaos.checker.given import WHOLE, a_run, at, breaks, call, happening, holds, seen
from tests.contracts.given import (
    NOON,
    USAGE,
    attempt_failed,
    blog_written,
    cancelled,
    claimed,
    completed,
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


def crash(revision: float, target: str = "writer-1", kind: str = "call", until: float | None = None) -> list[Happening]:
    """A fault, and that it is over: seven seconds later, unless another moment is given."""
    fired = happening(kind, at(0) + 10 * revision, step=1, target=target, phase="fired")
    over_at = fired.at + 7 if until is None else at(0) + 10 * until
    healed = happening(kind, over_at, step=1, target=target, phase="healed")
    return [fired, healed, happening("calm", at(9)), happening("end", at(9))]


def unanswered(calls: list[Call], *numbers: int) -> list[Answer]:
    """What the proxies saw, where the answers to these calls did not get through to their process."""
    names = {one.call for one in calls if one.number in numbers}
    return [one for one in seen(calls) if one.phase == "asked" or one.call not in names]


class TestHowMany:
    def test_a_call_for_each_answer_holds(self) -> None:
        found = holds(paid_calls.check, a_run())
        assert found.looked_at == {"calls": 4, "works": 3, "made again": 0, "in vain": 0}

    def test_call_without_a_claim_is_found(self) -> None:
        breaks(
            paid_calls.check, a_run(calls=paid(1.5, 1.6), happened=crash(1.6)), "2 blog calls for blog, and 1 claims"
        )

    def test_second_draft_is_told_in_the_usage(self) -> None:
        twice = blog_written().model_copy(update={"usage": USAGE.model_copy(update={"calls": 2})})
        events = [requested(), claimed("blog"), twice, cancelled()]
        drafts = [one.model_copy(update={"question": f"draft {one.number}"}) for one in paid(1.5, 1.75, 1.9)]
        holds(paid_calls.check, a_run(events, calls=drafts[:2]))
        breaks(paid_calls.check, a_run(events, calls=drafts), "3 blog calls")

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

    def test_call_that_no_proxy_saw_cannot_be_judged(self) -> None:
        with pytest.raises(CannotBeChecked, match=r"call 2 of the model stands in answers\.jsonl under no process"):
            paid_calls.check(a_run(answers=seen(a_run().calls[:1])))


class TestPaidTwice:
    """Calls begin at 1.5 and 2.5 (15 and 25 s), and are answered 2 s later."""

    def test_second_call_without_any_fault_is_found(self) -> None:
        found = breaks(
            paid_calls.check,
            a_run(CRASHED, calls=paid(1.5, 2.5)),
            "blog is paid for again (call 2, blog) 8.0 s after the answer to call 1 had reached writer-1",
        )
        assert found.looked_at["in vain"] == 1

    def test_call_in_flight_when_its_process_dies_is_made_again(self) -> None:
        calls = paid(1.5, 2.5)
        found = holds(paid_calls.check, a_run(CRASHED, calls=calls, answers=unanswered(calls, 1), happened=crash(1.6)))
        assert (found.looked_at["made again"], found.looked_at["in vain"]) == (1, 0)

    def test_call_begins_when_its_process_sends_it_however_late_the_model_takes_it_in(self) -> None:
        calls = paid(1.5, 2.5)
        answers = [calls[0].model_copy(update={"began_at": at(1) + 3}), calls[1]]
        happened = crash(1.4)
        holds(paid_calls.check, a_run(CRASHED, calls=calls, answers=unanswered(answers, 1), happened=happened))

    def test_call_that_a_proxy_comes_to_behind_the_end_of_its_process_is_that_process_s(self) -> None:
        calls = paid(1.5, 2.5)
        lost = unanswered(calls, 1)
        holds(paid_calls.check, a_run(CRASHED, calls=calls, answers=lost, happened=crash(1.46)))
        breaks(paid_calls.check, a_run(CRASHED, calls=calls, answers=lost, happened=crash(1.44)), "paid for again")

    def test_answer_whose_process_dies_before_it_can_be_kept_is_asked_for_again(self) -> None:
        run = a_run(CRASHED, calls=paid(1.5, 2.5), happened=crash(1.74))
        holds(paid_calls.check, run)
        assert "1 of those had just been answered (up to 0.5 s before)" in paid_calls.paid_twice(run)

    def test_answer_that_was_there_long_before_its_process_died_is_to_be_used(self) -> None:
        found = a_run(CRASHED, calls=paid(1.5, 2.5), happened=crash(1.8))
        breaks(paid_calls.check, found, "8.0 s after the answer to call 1 had reached writer-1")

    def test_call_that_was_dropped_long_before_its_process_died_is_not_lost_with_it(self) -> None:
        calls = paid(1.5, 2.5)
        calls[0] = calls[0].model_copy(update={"outcome": "client-gone"})
        holds(paid_calls.check, a_run(CRASHED, calls=calls, happened=crash(1.69)))
        found = a_run(CRASHED, calls=calls, happened=crash(2.1))
        breaks(paid_calls.check, found, "while call 1 of writer-1, which nothing disturbed, had no answer")

    @pytest.mark.parametrize("target", ["illustrator-1", "writer-2"])
    def test_what_is_done_to_another_process_excuses_nothing(self, target: str) -> None:
        breaks(paid_calls.check, a_run(CRASHED, calls=paid(1.5, 2.5), happened=crash(1.6, target)), "paid for again")

    @pytest.mark.parametrize("revision", [-9, 0.5, 1.4])
    def test_crash_before_the_call_excuses_nothing(self, revision: float) -> None:
        breaks(paid_calls.check, a_run(CRASHED, calls=paid(1.5, 2.5), happened=crash(revision)), "paid for again")

    def test_answer_that_the_model_spoilt_is_asked_for_again(self) -> None:
        first, second = paid(1.5, 2.5)
        spoilt = first.model_copy(update={"is_spoilt": True})
        holds(paid_calls.check, a_run(CRASHED, calls=[spoilt, second]))
        failed = first.model_copy(update={"outcome": "failed:503", "status": 503})
        holds(paid_calls.check, a_run(CRASHED, calls=[failed, second]))

    def test_answer_that_cannot_be_used_is_told_in_the_log(self) -> None:
        failed = attempt_failed("blog")
        events = [requested(), claimed("blog"), failed, claimed("blog", 2), blog_written(2), cancelled()]
        useless = failed.model_copy(update={"error": failed.error.model_copy(update={"code": "answer-malformed"})})
        holds(paid_calls.check, a_run([*events[:2], useless, *events[3:]], calls=paid(1.5, 3.5)))

    def test_failure_that_says_nothing_of_the_answer_excuses_nothing(self) -> None:
        failed = attempt_failed("blog")
        error = failed.error.model_copy(update={"code": "object-store-unavailable"})
        stored = failed.model_copy(update={"error": error})
        events = [requested(), claimed("blog"), stored, claimed("blog", 2), blog_written(2), cancelled()]
        breaks(paid_calls.check, a_run(events, calls=paid(1.5, 3.5)), "paid for again")

    def test_attempt_that_was_given_up_without_an_answer_may_call_again(self) -> None:
        calls = paid(1.5, 3.5)
        calls[0] = calls[0].model_copy(update={"outcome": "client-gone"})
        events = [
            requested(),
            claimed("blog"),
            attempt_failed("blog"),
            claimed("blog", 2),
            blog_written(2),
            cancelled(),
        ]
        holds(paid_calls.check, a_run(events, calls=calls))
        breaks(paid_calls.check, a_run(CRASHED, calls=calls), "while call 1 of writer-1, which nothing disturbed")

    def test_run_that_was_closed_with_the_call_in_flight_may_call_again(self) -> None:
        events = [requested(), claimed("blog"), cancelled(), resumed(), claimed("blog", run=2), blog_written(run=2)]
        calls = paid(2.9, 5.5)
        calls[0] = calls[0].model_copy(update={"outcome": "client-gone"})
        holds(paid_calls.check, a_run(events, calls=calls))

    def test_answer_of_a_run_that_was_closed_behind_it_is_used_when_it_is_resumed(self) -> None:
        events = [requested(), claimed("blog"), cancelled(), resumed(), claimed("blog", run=2), blog_written(run=2)]
        breaks(paid_calls.check, a_run(events, calls=paid(1.5, 5.5)), "paid for again")

    def test_attempt_that_goes_on_behind_the_end_of_its_run_may_call_beside_the_next_run(self) -> None:
        failed = [*WHOLE[:3], claimed("social:linkedin"), claimed("illustration"), gave_up("social:linkedin")]
        events = [*failed, resumed(), claimed("illustration", run=2), drawn(), completed(run=2)]
        scenes = [call("scene", at(6) + 9, work=Work.ILLUSTRATION), call("scene", at(8) + 1, work=Work.ILLUSTRATION)]
        breaks(paid_calls.check, a_run(events, calls=[*paid(2.5), *scenes]), "illustration is paid for again")
        scenes[0] = scenes[0].model_copy(update={"ended_at": at(8) + 4})
        holds(paid_calls.check, a_run(events, calls=[*paid(2.5), *scenes]))

    def test_success_behind_a_failure_is_not_thrown_away(self) -> None:
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
        breaks(paid_calls.check, a_run(events, calls=[*paid(2.5), *scenes]), "illustration is paid for again")

    def test_message_that_the_log_gave_to_another_while_the_call_was_under_way_is_a_reason(self) -> None:
        calls = paid(1.5, 1.6)
        events = [requested(), claimed("blog"), claimed("blog", 2), blog_written(2), cancelled()]
        holds(paid_calls.check, a_run(events, calls=calls, happened=crash(1.2, "nats", "nats-paused")))
        breaks(paid_calls.check, a_run(events, calls=calls), "1.0 s before the answer to call 1 had reached writer-1")
        breaks(
            paid_calls.check, a_run(events, calls=calls, happened=crash(-9, "nats", "nats-paused")), "paid for again"
        )

    def test_answer_that_was_there_is_used_whatever_became_of_the_log(self) -> None:
        happened = crash(1.6, "nats", "nats-paused")
        breaks(paid_calls.check, a_run(CRASHED, calls=paid(1.5, 2.5), happened=happened), "paid for again")

    def test_process_that_was_stopped_loses_the_call_that_is_under_way(self) -> None:
        holds(paid_calls.check, a_run(CRASHED, calls=paid(1.5, 2.5), happened=crash(1.6, kind="zombie")))

    def test_process_that_was_stopped_right_before_its_call_makes_it_when_it_goes_on(self) -> None:
        calls = paid(1.5, 2.5)
        calls[1] = call("blog", at(2) + 5, number=2, call="writer-2.late")
        holds(paid_calls.check, a_run(CRASHED, calls=calls, happened=crash(1.4, "writer-2", "zombie", until=2.45)))
        longer_ago = crash(1.4, "writer-2", "zombie", until=2.2)
        breaks(paid_calls.check, a_run(CRASHED, calls=calls, happened=longer_ago), "paid for again")

    def test_process_that_is_asked_to_go_ends_its_calls_a_few_seconds_later(self) -> None:
        holds(paid_calls.check, a_run(CRASHED, calls=paid(1.5, 2.9), happened=crash(1.3, kind="rolling")))
        breaks(paid_calls.check, a_run(CRASHED, calls=paid(1.5, 2.9), happened=crash(0.1, kind="rolling")), "again")

    def test_process_with_a_wrong_clock_is_replaced_before_that_is_told(self) -> None:
        holds(paid_calls.check, a_run(CRASHED, calls=paid(1.5, 2.9), happened=crash(1.9, kind="clock")))

    def test_another_scene_is_another_picture(self) -> None:
        events = [*WHOLE[:6], claimed("illustration", 2), drawn(2)]
        scenes = [call("scene", at(6) + 1, work=Work.ILLUSTRATION, number=1, is_spoilt=True)]
        scenes += [call("scene", at(7) + 1, work=Work.ILLUSTRATION, number=3)]
        first = call("image", at(6) + 4, work=Work.ILLUSTRATION, number=2, question="a")
        holds(
            paid_calls.check,
            a_run(events, calls=[*scenes, first, call("image", at(7) + 4, work=Work.ILLUSTRATION, question="b")]),
        )
        again = call("image", at(6) + 7, work=Work.ILLUSTRATION, number=4, question="c")
        breaks(paid_calls.check, a_run(events, calls=[*scenes, first, again]), "illustration is paid for again")

    def test_one_call_of_a_thousand_is_within_the_bound(self) -> None:
        assert not paid_calls.is_above_the_bound(1, 1_000)
        assert paid_calls.is_above_the_bound(1, 999)
        assert paid_calls.is_above_the_bound(2, 1_417)


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
        refused, later = paid(1.5, 5.5)
        holds(paid_calls.check, a_run(events, calls=[refused.model_copy(update={"status": 401}), later]))

    def test_works_of_a_run_that_failed_elsewhere_may_go_on(self) -> None:
        events = [*WHOLE[:3], claimed("illustration"), claimed("social:linkedin"), gave_up("social:linkedin")]
        calls = [
            *paid(2.5),
            call("scene", at(4) + 1, work=Work.ILLUSTRATION),
            call("social", at(5) + 1, work=Work.SOCIAL_LINKEDIN),
            call("image", at(8), work=Work.ILLUSTRATION),
        ]
        holds(paid_calls.check, a_run(events, calls=calls))
