"""Recording: a success was paid for, so it is recorded whenever its artefact is missing."""

import pytest

from contracts.events import Event, Made
from contracts.workflow import NotDue, Phase, UnknownCitation
from tests.contracts.given import (
    attempt_failed,
    blog_written,
    cancelled,
    claim,
    claimed,
    completed,
    drawn,
    everything,
    gave_up,
    given,
    posted,
    record,
    requested,
    researched,
    resumed,
)

ALL = requested(research=True, platforms=("linkedin", "x"))


class TestWhenClaimed:
    @pytest.mark.parametrize("made", [researched(), blog_written(), posted("x"), drawn()], ids=lambda made: made.type)
    def test_each_artefact_is_recorded_as_made(self, made: Made) -> None:
        given(ALL).when(record(made)).then(made)

    def test_research_without_a_source_is_recorded(self) -> None:
        given(ALL, claimed("research")).when(record(researched(sources=0))).then(researched(sources=0))

    def test_the_success_of_an_overtaken_attempt_is_recorded(self) -> None:
        given(requested(), claimed("blog", 1), claimed("blog", 2)).when(record(blog_written(1))).then(blog_written(1))

    def test_research_nobody_asked_for_is_refused(self) -> None:
        given(requested(research=False)).when(record(researched())).then_refused(NotDue)

    def test_a_platform_nobody_asked_for_is_refused(self) -> None:
        given(requested(), blog_written()).when(record(posted("x"))).then_refused(NotDue)


class TestWhenResearched:
    found = given(ALL, researched(sources=2), claimed("blog"))

    def test_given_sources_may_be_cited(self) -> None:
        self.found.when(record(blog_written(cited=(2, 1, 2)))).then(blog_written(cited=(2, 1, 2)))

    def test_citing_nothing_is_allowed(self) -> None:
        self.found.when(record(blog_written())).then(blog_written())

    @pytest.mark.parametrize("unknown", [0, 3, -1])
    def test_an_unknown_citation_is_refused(self, unknown: int) -> None:
        self.found.when(record(blog_written(cited=(1, unknown)))).then_refused(UnknownCitation)

    def test_without_research_every_citation_is_refused(self) -> None:
        given(requested(), claimed("blog")).when(record(blog_written(cited=(1,)))).then_refused(UnknownCitation)


class TestWhenRetryLiesAhead:
    def test_a_late_success_ends_the_waiting(self) -> None:
        history = given(requested(), claimed("blog", 1), claimed("blog", 2), attempt_failed("blog", 2))
        history.when(record(blog_written(1))).then(blog_written(1)).when(claim("blog")).then_refused(NotDue)


class TestWhenMade:
    def test_a_second_success_says_nothing(self) -> None:
        given(requested(), claimed("blog"), blog_written()).when(record(blog_written())).then_nothing()

    def test_another_success_changes_nothing(self) -> None:
        other = blog_written(2, title="Tea, again")
        given(requested(), claimed("blog"), claimed("blog", 2), blog_written()).when(record(other)).then_nothing()

    def test_a_second_success_is_not_held_to_citations(self) -> None:
        given(requested(), claimed("blog"), blog_written()).when(record(blog_written(cited=(9,)))).then_nothing()

    def test_platforms_are_told_apart(self) -> None:
        given(ALL, posted("x")).when(record(posted("linkedin"))).then(posted("linkedin"))


CLOSED = {
    Phase.FAILED: (
        requested(),
        blog_written(),
        claimed("illustration"),
        claimed("social:linkedin"),
        gave_up("social:linkedin"),
    ),
    Phase.CANCELLED: (requested(), blog_written(), claimed("illustration"), cancelled()),
}


@pytest.mark.parametrize(("phase", "history"), CLOSED.items(), ids=str)
class TestWhenClosed:
    def test_a_late_success_is_recorded(self, phase: Phase, history: tuple[Event, ...]) -> None:
        given(*history).when(record(drawn())).then(drawn())

    def test_a_late_success_opens_nothing_again(self, phase: Phase, history: tuple[Event, ...]) -> None:
        given(*history).when(record(drawn())).then_phase(phase)
        given(*history, drawn()).then_due()

    def test_the_last_artefact_completes_no_closed_run(self, phase: Phase, history: tuple[Event, ...]) -> None:
        given(*history, drawn()).when(record(posted())).then_phase(phase)


class TestWhenCompleted:
    def test_a_second_success_says_nothing(self) -> None:
        given(*everything(), completed()).when(record(drawn(2))).then_nothing()


class TestWhenResumed:
    def test_a_success_of_the_old_run_is_recorded(self) -> None:
        history = given(requested(), claimed("blog"), cancelled(), resumed(2), claimed("blog", run=2))
        history.when(record(blog_written(run=1))).then(blog_written(run=1)).then_due("social:linkedin", "illustration")
