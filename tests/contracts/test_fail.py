"""Failing: an attempt that failed is tried again, until the work is given up, and the run with it."""

from datetime import datetime
from typing import Any

import pytest

from contracts.commands import FailAttempt
from contracts.events import AttemptFailed, Event, WorkflowFailed
from contracts.workflow import ATTEMPTS_MAX, Phase, RuleBroken
from contracts.works import Work
from tests.contracts.given import (
    LATER,
    OVERLOADED,
    REFUSED,
    USAGE,
    attempt_failed,
    blog_written,
    cancelled,
    claimed,
    claims,
    completed,
    everything,
    fail,
    failures,
    gave_up,
    give_up,
    given,
    requested,
    resumed,
    used_up,
)

TOLD: dict[str, Any] = {
    "work": Work.BLOG,
    "run": 1,
    "attempt": 1,
    "error": OVERLOADED,
    "usage": USAGE,
    "cost_known": False,
}
DIED = used_up(" ended without a word: its process died.")


class TestWhenClaimed:
    def test_a_failed_attempt_is_recorded_with_its_cost(self) -> None:
        given(requested(), claimed("blog")).when(FailAttempt(retry_at=LATER, **TOLD)).then(
            AttemptFailed(retry_at=LATER, **TOLD)
        )

    def test_a_failed_attempt_leaves_its_work_due(self) -> None:
        given(requested(), claimed("blog")).when(fail("blog")).then(attempt_failed("blog")).then_due("blog")

    def test_no_retry_gives_up_work_and_run(self) -> None:
        failing = given(requested(), claimed("blog")).when(FailAttempt(retry_at=None, **TOLD))
        failing.then(WorkflowFailed(**TOLD)).then_due()
        failing.then_phase(Phase.FAILED)

    def test_attempts_left_forbid_giving_up(self) -> None:
        given(requested(), *claims("blog", ATTEMPTS_MAX - 1)).when(give_up("blog")).then_refused(RuleBroken)


class TestWhenLastAttemptIsClaimed:
    def test_its_failure_uses_up_the_attempts(self) -> None:
        history = given(requested(), *failures("blog", ATTEMPTS_MAX - 1), claimed("blog", ATTEMPTS_MAX))
        error = used_up(f": {OVERLOADED.message}")
        history.when(fail("blog", ATTEMPTS_MAX)).then(gave_up("blog", ATTEMPTS_MAX, error=error))

    def test_crashed_attempts_count_like_failed_ones(self) -> None:
        history = given(requested(), *claims("blog", ATTEMPTS_MAX))
        error = used_up(f": {OVERLOADED.message}")
        history.when(fail("blog", ATTEMPTS_MAX)).then(gave_up("blog", ATTEMPTS_MAX, error=error))

    def test_a_final_error_is_kept_as_told(self) -> None:
        history = given(requested(), *claims("blog", ATTEMPTS_MAX))
        history.when(fail("blog", ATTEMPTS_MAX, retry_at=None, error=REFUSED)).then(
            gave_up("blog", ATTEMPTS_MAX, error=REFUSED)
        )

    def test_attempts_that_all_crashed_are_given_up(self) -> None:
        given(requested(), *claims("blog", ATTEMPTS_MAX)).when(give_up("blog")).then(
            WorkflowFailed(work=Work.BLOG, run=1, attempt=ATTEMPTS_MAX, error=DIED, cost_known=False)
        )

    def test_giving_up_tells_of_the_last_failure(self) -> None:
        history = given(requested(), *failures("blog", ATTEMPTS_MAX - 1), claimed("blog", ATTEMPTS_MAX))
        error = used_up(f": {OVERLOADED.message}")
        history.when(give_up("blog")).then(
            WorkflowFailed(work=Work.BLOG, run=1, attempt=ATTEMPTS_MAX, error=error, cost_known=False)
        )


class TestWhenOvertaken:
    @pytest.mark.parametrize("retry_at", [LATER, None], ids=["retry", "final"])
    def test_a_failure_of_an_older_attempt_says_nothing(self, retry_at: datetime | None) -> None:
        given(requested(), claimed("blog", 1), claimed("blog", 2)).when(
            fail("blog", 1, retry_at=retry_at)
        ).then_nothing()

    @pytest.mark.parametrize("retry_at", [LATER, None], ids=["retry", "final"])
    def test_a_failure_of_an_older_run_says_nothing(self, retry_at: datetime | None) -> None:
        history = given(requested(), claimed("blog"), cancelled(), resumed(2))
        history.when(fail("blog", 1, run=1, retry_at=retry_at)).then_nothing()
        given(*history.events, claimed("blog", run=2)).when(fail("blog", 1, run=1, retry_at=retry_at)).then_nothing()

    def test_a_failure_after_a_success_says_nothing(self) -> None:
        given(requested(), claimed("blog", 1), claimed("blog", 2), blog_written(1)).when(fail("blog", 2)).then_nothing()

    def test_giving_up_what_exists_says_nothing(self) -> None:
        given(requested(), *claims("blog", ATTEMPTS_MAX), blog_written(1)).when(give_up("blog")).then_nothing()

    def test_giving_up_in_an_older_run_says_nothing(self) -> None:
        history = given(requested(), *claims("blog", ATTEMPTS_MAX), cancelled(), resumed(2))
        history.when(give_up("blog", run=1)).then_nothing()


class TestWhenAttemptFailed:
    def test_the_same_failure_again_says_nothing(self) -> None:
        given(requested(), claimed("blog"), attempt_failed("blog")).when(fail("blog")).then_nothing()

    def test_a_failure_without_a_claim_says_nothing(self) -> None:
        given(requested()).when(fail("blog")).then_nothing()


@pytest.mark.parametrize(
    "history",
    [
        (*everything(), completed()),
        (requested(), *claims("blog", ATTEMPTS_MAX), gave_up("blog", ATTEMPTS_MAX)),
        (requested(), *claims("blog", ATTEMPTS_MAX), cancelled()),
    ],
    ids=["completed", "failed", "cancelled"],
)
class TestWhenClosed:
    def test_a_failure_closes_no_run_twice(self, history: tuple[Event, ...]) -> None:
        given(*history).when(fail("blog", ATTEMPTS_MAX, retry_at=None)).then_nothing()

    def test_giving_up_closes_no_run_twice(self, history: tuple[Event, ...]) -> None:
        given(*history).when(give_up("blog")).then_nothing()


class TestWhenResumed:
    def test_a_failure_before_any_claim_says_nothing(self) -> None:
        given(requested(), claimed("blog"), cancelled(), resumed(2)).when(fail("blog", run=2)).then_nothing()

    def test_failures_of_the_old_run_are_forgotten(self) -> None:
        old = (*failures("blog", 2), cancelled(), resumed(2))
        given(requested(), *old, *claims("blog", ATTEMPTS_MAX, run=2)).when(give_up("blog", run=2)).then(
            WorkflowFailed(work=Work.BLOG, run=2, attempt=ATTEMPTS_MAX, error=DIED, cost_known=False)
        )

    def test_the_new_run_has_all_its_attempts(self) -> None:
        history = given(requested(), *claims("blog", ATTEMPTS_MAX), gave_up("blog"), resumed(2), claimed("blog", run=2))
        history.when(give_up("blog", run=2)).then_refused(RuleBroken)
        history.when(fail("blog", run=2)).then(attempt_failed("blog", run=2))
