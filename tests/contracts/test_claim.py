"""Claiming: each claim is the next attempt at a work that is due. Never quiet: a claim is answered or refused."""

from datetime import timedelta

import pytest

from contracts.events import Event
from contracts.workflow import ATTEMPTS_MAX, NotDue
from tests.contracts.given import (
    LATER,
    NOON,
    attempt_failed,
    blog_written,
    cancelled,
    claim,
    claimed,
    claims,
    completed,
    everything,
    gave_up,
    given,
    posted,
    requested,
    resumed,
)


class TestWhenRequested:
    def test_a_claim_names_attempt_and_worker(self) -> None:
        given(requested()).when(claim("blog", worker="w7")).then(claimed("blog", attempt=1, worker="w7"))

    def test_a_work_without_its_inputs_is_refused(self) -> None:
        given(requested(research=True)).when(claim("blog")).then_refused(NotDue)

    def test_research_nobody_asked_for_is_refused(self) -> None:
        given(requested(research=False)).when(claim("research")).then_refused(NotDue)

    def test_a_platform_nobody_asked_for_is_refused(self) -> None:
        given(requested(), blog_written()).when(claim("social:x")).then_refused(NotDue)

    def test_a_run_that_never_opened_is_refused(self) -> None:
        given(requested()).when(claim("blog", run=2)).then_refused(NotDue)


class TestWhenClaimed:
    def test_another_claim_is_the_next_attempt(self) -> None:
        given(requested(), claimed("blog")).when(claim("blog", worker="w2")).then(claimed("blog", 2, worker="w2"))

    def test_works_count_their_attempts_apart(self) -> None:
        history = given(requested(), blog_written(), *claims("social:linkedin", 3))
        history.when(claim("illustration")).then(claimed("illustration", 1))

    def test_no_claim_follows_the_last_attempt(self) -> None:
        given(requested(), *claims("blog", ATTEMPTS_MAX - 1)).when(claim("blog")).then(claimed("blog", ATTEMPTS_MAX))
        given(requested(), *claims("blog", ATTEMPTS_MAX)).when(claim("blog")).then_refused(NotDue)


class TestWhenAttemptFailed:
    failed = given(requested(), claimed("blog"), attempt_failed("blog", retry_at=LATER))

    def test_a_claim_before_the_retry_is_refused(self) -> None:
        self.failed.when(claim("blog", now=LATER - timedelta(microseconds=1))).then_refused(NotDue)

    def test_a_claim_at_the_retry_is_recorded(self) -> None:
        self.failed.when(claim("blog", now=LATER)).then(claimed("blog", 2))

    def test_a_claim_ends_the_waiting_for_all(self) -> None:
        """Also for those whose clocks are behind."""
        given(*self.failed.events, claimed("blog", 2)).when(claim("blog", now=NOON)).then(claimed("blog", 3))


class TestWhenMade:
    def test_what_exists_is_not_claimed_again(self) -> None:
        given(requested(), blog_written()).when(claim("blog")).then_refused(NotDue)


class TestWhenClosed:
    @pytest.mark.parametrize(
        "history",
        [
            (*everything(), completed()),
            (requested(), claimed("blog"), gave_up("blog")),
            (requested(), claimed("blog"), cancelled()),
        ],
        ids=["completed", "failed", "cancelled"],
    )
    def test_nothing_is_claimed_in_a_closed_run(self, history: tuple[Event, ...]) -> None:
        given(*history).when(claim("blog")).then_refused(NotDue)


class TestWhenResumed:
    used_up = given(requested(), *claims("blog", ATTEMPTS_MAX), gave_up("blog", ATTEMPTS_MAX), resumed(2))

    def test_attempts_restart_with_the_run(self) -> None:
        self.used_up.when(claim("blog", run=2)).then(claimed("blog", 1, run=2))

    def test_a_retry_of_the_old_run_delays_nothing(self) -> None:
        history = given(requested(), claimed("blog"), attempt_failed("blog"), cancelled(), resumed(2))
        history.when(claim("blog", run=2, now=LATER - timedelta(minutes=1))).then(claimed("blog", 1, run=2))

    def test_a_claim_for_the_old_run_is_refused(self) -> None:
        self.used_up.when(claim("blog", run=1)).then_refused(NotDue)

    def test_what_the_old_run_made_is_not_claimed(self) -> None:
        history = given(requested(), blog_written(), posted(), gave_up("illustration"), resumed(2))
        history.when(claim("social:linkedin", run=2)).then_refused(NotDue)
