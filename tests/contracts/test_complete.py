"""Completing: whoever sees that every artefact exists closes the run, once."""

import pytest

from contracts.commands import CompleteWorkflow
from contracts.events import Event
from contracts.workflow import Phase, StillMissing
from tests.contracts.given import (
    blog_written,
    cancelled,
    claimed,
    completed,
    drawn,
    everything,
    gave_up,
    given,
    posted,
    requested,
    resumed,
)

CLOSED_LATE = (requested(), blog_written(), claimed("illustration"), posted(), gave_up("illustration"), drawn())
"""The last artefact came after the run had failed."""


class TestWhenAllIsMade:
    def test_the_run_is_completed_without_a_claim(self) -> None:
        completing = given(*everything()).when(CompleteWorkflow(run=1))
        completing.then(completed()).then_due()
        completing.then_phase(Phase.COMPLETED)


class TestWhenSomethingIsMissing:
    @pytest.mark.parametrize("missing", [1, 2, 3], ids=["blog", "social", "illustration"])
    def test_completing_too_early_is_refused(self, missing: int) -> None:
        events = everything()
        given(*events[:missing], *events[missing + 1 :]).when(CompleteWorkflow(run=1)).then_refused(StillMissing)

    def test_every_platform_has_to_be_there(self) -> None:
        history = given(requested(platforms=("x", "linkedin")), blog_written(), posted("x"), drawn())
        history.when(CompleteWorkflow(run=1)).then_refused(StillMissing)


class TestWhenClosed:
    @pytest.mark.parametrize(
        "history",
        [(*everything(), completed()), (*everything(), cancelled()), CLOSED_LATE],
        ids=["completed", "cancelled", "failed"],
    )
    def test_a_closed_run_is_not_completed_again(self, history: tuple[Event, ...]) -> None:
        given(*history).when(CompleteWorkflow(run=1)).then_nothing()


class TestWhenResumed:
    def test_nothing_missing_completes_the_new_run(self) -> None:
        given(*CLOSED_LATE, resumed(2)).when(CompleteWorkflow(run=2)).then(completed(run=2))

    def test_completing_an_older_run_says_nothing(self) -> None:
        given(*CLOSED_LATE, resumed(2)).when(CompleteWorkflow(run=1)).then_nothing()
