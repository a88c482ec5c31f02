"""What is due: the works in their order, what each waits for, and the event that wakes whoever does it."""

from itertools import product

import pytest
from hypothesis import given as for_any

from contracts.events import BlogWritten, Event, ResearchCompleted, WorkflowRequested, WorkflowResumed
from contracts.platforms import Platform
from contracts.workflow import completion_is_due, due, fold, guard, inputs, wakes, works
from contracts.works import Kind, Work
from tests.contracts.generated import histories, quick
from tests.contracts.given import (
    attempt_failed,
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
    researched,
    resumed,
)

TWO = requested(research=True, platforms=("x", "linkedin"))


def revision_of_guard(work: str, *events: Event) -> int:
    return guard(fold(events), Work(work))


class TestWorks:
    def test_each_platform_asked_for_is_a_work(self) -> None:
        assert works(TWO) == (
            Work.RESEARCH,
            Work.BLOG,
            Work.SOCIAL_X,
            Work.SOCIAL_LINKEDIN,
            Work.ILLUSTRATION,
        )

    def test_research_is_a_work_when_asked(self) -> None:
        assert Work.RESEARCH not in works(requested(research=False))

    @pytest.mark.parametrize("platform", Platform)
    def test_every_platform_has_a_work(self, platform: Platform) -> None:
        assert (Work.social(platform).kind, Work.social(platform).platform) == (Kind.SOCIAL, platform)

    @pytest.mark.parametrize("work", [work for work in Work if work.kind is not Kind.SOCIAL])
    def test_only_social_works_have_a_platform(self, work: Work) -> None:
        with pytest.raises(ValueError, match="not a valid Platform"):
            _ = work.platform


class TestInputs:
    def test_a_blog_is_made_from_research_when_asked(self) -> None:
        assert inputs(Work.BLOG, requested(research=True)) == (Work.RESEARCH,)
        assert inputs(Work.BLOG, requested(research=False)) == ()

    @pytest.mark.parametrize("work", [Work.SOCIAL_X, Work.SOCIAL_LINKEDIN, Work.ILLUSTRATION])
    def test_all_else_is_made_from_the_blog(self, work: Work) -> None:
        assert inputs(work, TWO) == (Work.BLOG,)


class TestDue:
    def test_nothing_is_due_before_a_request(self) -> None:
        given().then_due()

    def test_the_blog_comes_first_without_research(self) -> None:
        given(requested()).then_due("blog")

    def test_the_blog_waits_for_research_when_asked(self) -> None:
        given(TWO).then_due("research")
        given(TWO, researched()).then_due("blog")

    def test_social_posts_and_illustration_follow_in_parallel(self) -> None:
        given(TWO, researched(), blog_written()).then_due("social:x", "social:linkedin", "illustration")

    def test_each_is_due_until_it_is_made(self) -> None:
        given(TWO, researched(), blog_written(), posted("linkedin")).then_due("social:x", "illustration")
        given(TWO, researched(), blog_written(), drawn(), posted("x")).then_due("social:linkedin")

    def test_a_claimed_work_is_due_still(self) -> None:
        given(requested(), claimed("blog")).then_due("blog")

    def test_a_work_that_waits_is_due_still(self) -> None:
        given(requested(), claimed("blog"), attempt_failed("blog")).then_due("blog")

    @pytest.mark.parametrize("closed", [gave_up("blog"), cancelled()], ids=["failed", "cancelled"])
    def test_nothing_is_due_in_a_closed_run(self, closed: Event) -> None:
        given(requested(), closed).then_due()

    def test_nothing_is_due_once_all_is_made(self) -> None:
        given(*everything()).then_due()
        given(*everything(), completed()).then_due()


class TestCompletion:
    def test_completion_is_due_once_all_is_made(self) -> None:
        assert completion_is_due(fold(everything()))
        assert not completion_is_due(fold(everything()[:-1]))

    def test_completion_is_due_in_open_runs_only(self) -> None:
        assert not completion_is_due(fold([*everything(), completed()]))
        assert not completion_is_due(fold([*everything(), cancelled()]))
        assert completion_is_due(fold([*everything(), cancelled(), resumed(2)]))

    def test_completion_is_not_due_before_a_request(self) -> None:
        assert not completion_is_due(fold([]))


class TestGuard:
    def test_a_work_without_inputs_is_guarded_by_its_run(self) -> None:
        assert revision_of_guard("blog", requested()) == 1
        assert revision_of_guard("blog", requested(), claimed("blog"), cancelled(), resumed(2)) == 4

    def test_inputs_of_this_run_guard_what_follows(self) -> None:
        assert revision_of_guard("blog", TWO, claimed("research"), researched()) == 3
        assert revision_of_guard("illustration", requested(), blog_written(), posted()) == 2

    def test_inputs_of_an_older_run_give_way(self) -> None:
        assert revision_of_guard("illustration", requested(), blog_written(), cancelled(), resumed(2)) == 4

    def test_inputs_that_came_late_guard_again(self) -> None:
        assert revision_of_guard("illustration", requested(), cancelled(), resumed(2), blog_written()) == 4

    def test_inputs_between_two_runs_give_way(self) -> None:
        assert revision_of_guard("illustration", requested(), cancelled(), blog_written(), resumed(2)) == 4

    def test_claims_and_failures_guard_nothing(self) -> None:
        assert revision_of_guard("blog", requested(), claimed("blog"), attempt_failed("blog")) == 1


class TestWakes:
    @quick
    @for_any(histories())
    def test_whatever_guards_a_work_wakes_its_stage(self, history: tuple[Event, ...]) -> None:
        for length in range(1, len(history) + 1):
            state = fold(history[:length])
            for work in due(state):
                assert type(history[guard(state, work) - 1]) in wakes(work.kind)

    @pytest.mark.parametrize(
        ("kind", "event"),
        [*product(Kind, [WorkflowRequested, WorkflowResumed, ResearchCompleted, BlogWritten])],
    )
    def test_nobody_is_woken_in_vain(self, kind: Kind, event: type[Event]) -> None:
        """Each event that wakes a kind can be the guard of one of its works."""
        assert (event in wakes(kind)) == any(
            type(path[guard(fold(path), work) - 1]) is event
            for path in self.paths
            for work in due(fold(path))
            if work.kind is kind
        )

    paths = (
        [requested()],
        [requested(), blog_written()],
        [requested(), blog_written(), cancelled(), resumed(2)],
        [requested(), cancelled(), resumed(2)],
        [requested(research=True)],
        [requested(research=True), researched()],
        [requested(research=True), cancelled(), resumed(2)],
    )
