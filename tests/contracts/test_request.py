"""Requesting: a workflow begins once, and every request that says the same is that same workflow."""

from typing import Any

import pytest

from contracts.commands import CancelWorkflow, Command, CompleteWorkflow, RequestWorkflow, ResumeWorkflow
from contracts.events import Brief, WorkflowRequested
from contracts.platforms import Platform
from contracts.workflow import RequestConflict, UnknownWorkflow
from tests.contracts.given import (
    ask,
    blog_written,
    cancelled,
    claim,
    drawn,
    fail,
    give_up,
    given,
    posted,
    record,
    requested,
    researched,
)


class TestWhenNew:
    def test_a_request_is_recorded_as_asked(self) -> None:
        platforms, brief = (Platform.X, Platform.LINKEDIN), Brief(tone="dry", language="Français")
        told: dict[str, Any] = {
            "topic": "Le thé",
            "research": True,
            "platforms": platforms,
            "brief": brief,
            "client_request_id": "r1",
        }
        given().when(RequestWorkflow(**told)).then(WorkflowRequested(**told))

    def test_space_around_a_topic_is_dropped(self) -> None:
        given().when(ask(topic="  Tea\n")).then(requested(topic="Tea"))

    @pytest.mark.parametrize(
        "command",
        [
            claim("blog"),
            *map(record, (researched(), blog_written(), posted(), drawn())),
            fail("blog"),
            give_up("blog"),
            CompleteWorkflow(run=1),
            CancelWorkflow(),
            ResumeWorkflow(),
        ],
        ids=lambda command: type(command).__name__,
    )
    def test_only_a_request_begins_a_workflow(self, command: Command) -> None:
        given().when(command).then_refused(UnknownWorkflow)


class TestWhenRequested:
    def test_the_same_request_again_says_nothing(self) -> None:
        given(requested()).when(ask()).then_nothing()

    def test_space_around_a_topic_makes_no_difference(self) -> None:
        given(requested()).when(ask(topic=" The history of tea ")).then_nothing()

    def test_another_request_under_its_id_conflicts(self) -> None:
        given(requested()).when(ask(topic="The history of coffee")).then_refused(RequestConflict)

    def test_the_same_topic_with_research_conflicts(self) -> None:
        given(requested()).when(ask(research=True)).then_refused(RequestConflict)


class TestWhenClosed:
    def test_the_same_request_again_opens_nothing(self) -> None:
        given(requested(), cancelled()).when(ask()).then_nothing()
