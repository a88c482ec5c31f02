"""Cancelling: the open run is called off, and keeps what it made."""

import pytest

from contracts.commands import CancelWorkflow
from contracts.events import Event
from contracts.workflow import AlreadyClosed, Phase
from tests.contracts.given import (
    blog_written,
    cancelled,
    claimed,
    completed,
    everything,
    gave_up,
    given,
    requested,
    resumed,
)


class TestWhenOpen:
    def test_the_reason_is_recorded(self) -> None:
        given(requested()).when(CancelWorkflow(reason="typo")).then(cancelled(reason="typo"))

    def test_nothing_is_due_after_it(self) -> None:
        cancelling = given(requested(), blog_written(), claimed("illustration")).when(CancelWorkflow())
        cancelling.then(cancelled()).then_due()
        cancelling.then_phase(Phase.CANCELLED)

    def test_a_run_can_be_cancelled_before_it_completes(self) -> None:
        given(*everything()).when(CancelWorkflow()).then(cancelled())


class TestWhenResumed:
    def test_the_new_run_is_cancelled(self) -> None:
        given(requested(), cancelled(), resumed(2)).when(CancelWorkflow()).then(cancelled(run=2))


class TestWhenCancelled:
    def test_cancelling_again_says_nothing(self) -> None:
        given(requested(), cancelled()).when(CancelWorkflow(reason="really")).then_nothing()


class TestWhenClosedOtherwise:
    @pytest.mark.parametrize(
        "history", [(*everything(), completed()), (requested(), gave_up("blog"))], ids=["completed", "failed"]
    )
    def test_there_is_nothing_to_cancel(self, history: tuple[Event, ...]) -> None:
        given(*history).when(CancelWorkflow()).then_refused(AlreadyClosed)
