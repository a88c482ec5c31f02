"""Resuming: the next run opens, keeps what was made, and has only the rest to do."""

import pytest

from contracts.commands import ResumeWorkflow
from contracts.events import Event
from contracts.platforms import Platform
from contracts.workflow import EVENTS_MAX, EVENTS_OF_A_RUN_MAX, AlreadyClosed, HistoryFull, works
from contracts.works import Work
from tests.contracts.given import (
    blog_written,
    cancelled,
    claimed,
    completed,
    everything,
    gave_up,
    given,
    posted,
    requested,
    researched,
    resumed,
)


class TestWhenClosed:
    @pytest.mark.parametrize("closed", [gave_up("blog"), cancelled()], ids=["failed", "cancelled"])
    def test_the_next_run_opens(self, closed: Event) -> None:
        given(requested(), closed).when(ResumeWorkflow(reason="paid up")).then(resumed(2, reason="paid up"))

    def test_runs_are_counted_on(self) -> None:
        given(requested(), cancelled(), resumed(2), cancelled(run=2)).when(ResumeWorkflow()).then(resumed(3))

    def test_only_what_is_missing_is_due(self) -> None:
        history = given(requested(research=True), researched(), blog_written(), posted(), gave_up("illustration"))
        history.when(ResumeWorkflow()).then(resumed(2)).then_due("illustration")

    def test_what_came_late_is_not_due(self) -> None:
        history = given(requested(), claimed("blog"), cancelled(), blog_written())
        history.when(ResumeWorkflow()).then(resumed(2)).then_due("social:linkedin", "illustration")

    def test_a_work_given_up_is_due_again(self) -> None:
        given(requested(), gave_up("blog")).when(ResumeWorkflow()).then(resumed(2)).then_due("blog")


class TestWhenOpen:
    def test_resuming_an_open_run_says_nothing(self) -> None:
        given(requested()).when(ResumeWorkflow()).then_nothing()

    def test_resuming_twice_opens_one_run(self) -> None:
        given(requested(), cancelled(), resumed(2)).when(ResumeWorkflow()).then_nothing()


class TestWhenCompleted:
    def test_there_is_nothing_to_resume(self) -> None:
        given(*everything(), completed()).when(ResumeWorkflow()).then_refused(AlreadyClosed)


class TestWhenHistoryIsLong:
    def cancelled_after(self, events: int) -> tuple[Event, ...]:
        """A history of so many events, an even number: one run cancelled after the other."""
        runs = (events - 2) // 2
        again = (event for run in range(1, runs + 1) for event in (cancelled(run=run), resumed(run + 1)))
        return (requested(), *again, cancelled(run=runs + 1))

    def test_the_last_run_that_fits_is_opened(self) -> None:
        history = self.cancelled_after((EVENTS_MAX - EVENTS_OF_A_RUN_MAX) // 2 * 2)
        given(*history).when(ResumeWorkflow()).then(resumed(len(history) // 2 + 1))

    def test_a_run_of_every_platform_fits_several_times(self) -> None:
        assert len(works(requested(research=True, platforms=Platform))) == len(Work)
        assert EVENTS_MAX >= 8 * EVENTS_OF_A_RUN_MAX

    def test_a_run_that_might_not_fit_is_refused(self) -> None:
        history = self.cancelled_after((EVENTS_MAX - EVENTS_OF_A_RUN_MAX) // 2 * 2 + 2)
        given(*history).when(ResumeWorkflow()).then_refused(HistoryFull)
