"""A stage's declaration: which failure leads to which verdict, and how it is told."""

from datetime import timedelta

import pytest

from chassis.stage import Attempt, DeadlinePassed, GiveUp, Retry, Stage, Unexpected, WorkFailed
from contracts.commands import Record
from contracts.events import BlogWritten, ResearchCompleted, WorkflowRequested, WorkflowResumed
from contracts.works import Kind


class Busy(WorkFailed):
    """The model is busy.

    More for those who read the code.
    """


class VeryBusyHTTP2Server(Busy):
    """The model is very busy."""


class Strange(WorkFailed):
    """Nobody declared what follows from this."""


stage = Stage[None]("writer", {Busy: Retry(timedelta(seconds=5)), Unexpected: Retry(timedelta(seconds=1))})


@stage.does(Kind.BLOG)
async def write(attempt: Attempt, tools: None) -> Record:
    raise Busy


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [
        (Busy(), Retry(timedelta(seconds=5))),
        (VeryBusyHTTP2Server(), Retry(timedelta(seconds=5))),
        (DeadlinePassed(), Retry(timedelta(seconds=2))),
        (Unexpected(), Retry(timedelta(seconds=1))),
        (Strange(), GiveUp()),
    ],
)
def test_verdict_is_of_the_nearest_declared_kind(failed: WorkFailed, verdict: Retry | GiveUp) -> None:
    assert stage.verdict(failed) == verdict


@pytest.mark.parametrize(
    ("attempt", "retry_after", "delay"),
    [(1, 0, 5), (2, 0, 10), (3, 0, 20), (4, 0, 25), (5, 0, 25), (1, 90, 90), (4, 7, 25)],
)
def test_delay_doubles_is_bounded_and_obeys(attempt: int, retry_after: int, delay: int) -> None:
    retry = Retry(timedelta(seconds=5), most=timedelta(seconds=25))
    assert retry.delay(attempt, timedelta(seconds=retry_after)) == timedelta(seconds=delay)


@pytest.mark.parametrize(
    ("failed", "code"),
    [(Busy(), "busy"), (DeadlinePassed(), "deadline-passed"), (VeryBusyHTTP2Server(), "very-busy-http2-server")],
)
def test_code_is_the_name_in_small_letters(failed: WorkFailed, code: str) -> None:
    assert failed.code == code


def test_first_line_of_the_docstring_is_the_message() -> None:
    assert (str(Busy()), str(Busy("Later."))) == ("The model is busy.", "Later.")


def test_log_tells_whether_a_resume_makes_sense() -> None:
    strict = Stage[None]("writer", {Busy: GiveUp(retryable=False), Strange: GiveUp()})
    told = [strict.failure(failed).retryable for failed in (Busy(), Strange(), DeadlinePassed())]
    assert told == [False, True, True]


def test_kind_of_work_has_one_function() -> None:
    with pytest.raises(ValueError, match="has a function for blog already"):
        stage.does(Kind.BLOG)(write)


def test_stage_is_woken_by_what_its_works_need() -> None:
    assert stage.kinds == {Kind.BLOG}
    assert stage.wakes == (WorkflowRequested, WorkflowResumed, ResearchCompleted)
    assert BlogWritten not in stage.wakes
