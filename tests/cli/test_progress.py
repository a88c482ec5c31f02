"""The progress: how the steps stand after each frame. Given frames, when one more comes, then a step is so."""

import copy
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given as when_any
from hypothesis import strategies as st

from cli.frames import frame_of
from cli.progress import TEXT_KEPT, Progress, State, Step, evolve
from cli.steps import event_in_words, loss_in_words, outcome_in_words, words_of
from tests.cli.given import BUSY, ID, History, Json, delta

NOON = datetime.fromisoformat("2026-11-22T12:00:00+00:00")


def after(*parts: History | Json) -> Progress:
    """The progress after these histories and frames."""
    progress = Progress()
    for part in parts:
        for frame in part.events if isinstance(part, History) else [part]:
            progress = evolve(progress, frame_of(frame))
    return progress


def states(progress: Progress) -> dict[str, State]:
    return {work: step.state for work, step in progress.steps.items()}


class TestSteps:
    def test_a_request_tells_which_steps_there_will_be(self) -> None:
        progress = after(History().requested("linkedin", "x", research=True))
        assert list(progress.steps) == ["research", "blog", "social:linkedin", "social:x", "illustration"]
        assert set(states(progress).values()) == {State.WAITING}

    def test_without_research_there_is_no_such_step(self) -> None:
        assert list(after(History().requested()).steps) == ["blog", "social:linkedin", "illustration"]

    def test_a_claim_starts_a_step(self) -> None:
        step = after(History().requested().claimed("blog")).steps["blog"]
        assert (step.state, step.attempt) == (State.WORKING, 1)

    def test_a_failed_attempt_tells_why_and_when_it_is_tried_again(self) -> None:
        step = after(History().requested().claimed("blog").failed_attempt("blog")).steps["blog"]
        assert step.state is State.RETRYING
        assert "10:30:00 because attempt 1 failed: The model is busy" in words_of(step, NOON).replace(
            f"{step.retry_at.astimezone():%H:%M:%S}" if step.retry_at else "", "10:30:00"
        )

    def test_the_next_claim_is_the_next_attempt(self) -> None:
        step = after(History().requested().claimed("blog").failed_attempt("blog").claimed("blog", 2)).steps["blog"]
        assert (step.state, step.attempt, step.why) == (State.WORKING, 2, "")

    def test_what_was_made_is_told_with_the_time_it_took(self) -> None:
        steps = after(History().whole()).steps
        assert [words_of(step, NOON) for step in steps.values()] == [
            "done in 1 s · 1 source",
            "done in 1 s · How Tea Travelled",
            "done in 1 s · 37 characters",
            "done in 1 s · 1024 × 768",
        ]

    def test_a_complete_workflow_is_closed(self) -> None:
        assert after(History().whole()).phase == "completed"

    def test_a_failed_workflow_tells_which_work_was_given_up(self) -> None:
        progress = after(History().requested().claimed("blog").gave_up("blog"))
        assert states(progress)["blog"] is State.GIVEN_UP
        assert outcome_in_words(progress) == "The workflow failed. Blog post: The quota is used up."

    def test_what_was_not_made_at_the_end_is_stopped(self) -> None:
        progress = after(History().requested().claimed("blog").gave_up("blog"))
        assert states(progress)["illustration"] is State.STOPPED

    def test_a_cancelled_workflow_tells_its_reason(self) -> None:
        progress = after(History().requested().cancelled("a typing error"))
        assert outcome_in_words(progress) == "The workflow was cancelled: a typing error."

    def test_a_resumed_workflow_waits_for_what_is_missing(self) -> None:
        history = History().requested().claimed("blog").written().claimed("illustration").gave_up("illustration")
        progress = after(history.resumed())
        assert (progress.phase, progress.run, progress.error) == ("open", 2, None)
        assert states(progress) == {
            "blog": State.DONE,
            "social:linkedin": State.WAITING,
            "illustration": State.WAITING,
        }

    def test_a_success_that_comes_late_still_counts(self) -> None:
        progress = after(History().requested().claimed("blog").cancelled().written())
        assert (progress.phase, states(progress)["blog"]) == ("cancelled", State.DONE)

    def test_a_work_that_is_not_known_here_is_a_step_too(self) -> None:
        progress = after(History().requested().claimed("video"))
        assert states(progress)["video"] is State.WORKING

    def test_an_event_that_is_not_known_here_counts_and_changes_no_step(self) -> None:
        before = after(History().requested())
        now = after(History().requested().add("workflow-praised", "Somebody liked it"))
        assert (now.revision, now.steps) == (2, before.steps)


class TestRepeats:
    @when_any(st.data())
    def test_events_that_come_again_change_nothing(self, data: st.DataObject) -> None:
        events = History().whole().events
        again = data.draw(st.lists(st.integers(0, len(events) - 1)))
        repeated: list[Json] = []
        for number, event in enumerate(events):
            repeated += [event, *(events[old] for old in again if old <= number)]
        assert after(*repeated) == after(*events)

    def test_a_frame_of_another_type_changes_nothing(self) -> None:
        before = after(History().requested())
        assert evolve(before, frame_of({"type": "heartbeat", "payload": "", "workflow_id": ID})) is before


class TestText:
    def test_pieces_are_joined(self) -> None:
        progress = after(History().requested().claimed("blog"), delta("Tea "), delta("came", offset=4))
        assert progress.writing and progress.writing.text == "Tea came"

    def test_a_new_attempt_throws_the_old_text_away(self) -> None:
        history = History().requested().claimed("blog")
        progress = after(history, delta("Tea came"), delta("Once", attempt=2))
        assert progress.steps["blog"].text == "Once"

    def test_a_new_run_throws_the_old_text_away(self) -> None:
        history = History().requested().claimed("blog", 3)
        progress = after(history, delta("Tea came", attempt=3), delta("Once", run=2, attempt=1))
        assert progress.steps["blog"].text == "Once"

    def test_what_comes_late_of_an_older_attempt_is_dropped(self) -> None:
        history = History().requested().claimed("blog").failed_attempt("blog").claimed("blog", 2)
        progress = after(history, delta("Once", attempt=2), delta("Tea came"))
        assert progress.steps["blog"].text == "Once"

    def test_text_before_its_claim_is_kept(self) -> None:
        history = History().requested()
        requested = copy.copy(history.events)
        progress = after(*requested, delta("Tea "), history.claimed("blog").events[-1], delta("came", offset=4))
        assert progress.steps["blog"].text == "Tea came"

    def test_a_repeated_piece_stands_once(self) -> None:
        history = History().requested().claimed("blog")
        progress = after(history, delta("Tea came"), delta("came to", offset=4))
        assert progress.steps["blog"].text == "Tea came to"

    def test_a_text_whose_beginning_was_not_heard_shows_that(self) -> None:
        progress = after(History().requested().claimed("blog"), delta("by two roads", offset=200))
        assert progress.steps["blog"].text == "… by two roads"

    def test_only_the_end_of_a_long_text_is_kept(self) -> None:
        history = History().requested().claimed("blog")
        text = "tea " * TEXT_KEPT
        progress = after(history, delta(text), delta("came", offset=len(text)))
        assert len(progress.steps["blog"].text) == TEXT_KEPT
        assert progress.steps["blog"].text.endswith("tea came")

    def test_a_finished_step_writes_no_more(self) -> None:
        progress = after(History().requested().claimed("blog").written(), delta("late", offset=90))
        assert progress.writing is None

    def test_a_failed_attempt_takes_its_text_with_it(self) -> None:
        history = History().requested().claimed("blog")
        claimed = copy.copy(history.events)
        progress = after(*claimed, delta("Tea"), history.failed_attempt("blog").events[-1], delta("came", offset=3))
        assert progress.steps["blog"].text == ""

    @when_any(st.text(max_size=60), st.lists(st.integers(0, 60)), st.integers(1, 9))
    def test_any_pieces_that_overlap_make_the_text(self, text: str, backs: list[int], length: int) -> None:
        progress, heard = after(History().requested().claimed("blog")), 0
        text = "".join(frame_of(delta(text)).payload)
        for back in [*backs, *[0] * len(text)]:
            offset = max(0, heard - back)
            piece = text[offset : heard + length]
            heard = max(heard, offset + len(piece))
            if piece:
                progress = evolve(progress, frame_of(delta(piece, offset=offset)))
        assert progress.steps["blog"].text == text


class TestLines:
    def test_an_event_is_told_in_the_servers_words(self) -> None:
        told = frame_of(History().requested().claimed("blog", 2).events[-1])
        assert event_in_words(told).endswith("  Working on blog, attempt 2")

    def test_a_failed_attempt_is_told_with_its_reason_and_its_retry(self) -> None:
        told = event_in_words(frame_of(History().requested().claimed("blog").failed_attempt("blog").events[-1]))
        assert f"Blog post, attempt 1 of 5 failed (rate-limited): {BUSY}. It is tried again at " in told

    @pytest.mark.parametrize(("is_known", "why"), [(False, BUSY), (False, "It may have been billed."), (True, BUSY)])
    def test_a_failed_attempt_that_may_have_been_billed_says_so_once(self, is_known: bool, why: str) -> None:
        failed = History().requested().claimed("blog").failed_attempt("blog", why=why).events[-1]
        told = event_in_words(frame_of({**failed, "data": {**failed["data"], "cost_known": is_known}}))
        assert told.count("may have been billed") == (0 if is_known else 1)

    def test_an_attempt_that_never_ended_is_told_as_lost(self) -> None:
        step = after(History().requested().claimed("blog").claimed("blog", 2)).steps["blog"]
        told = "Blog post, attempt 1 of 5 was lost: its process died or fell silent. It may have been billed."
        assert loss_in_words(step) == told

    def test_a_lost_attempt_is_told_although_the_next_ones_text_came_first(self) -> None:
        *before, second = History().requested().claimed("blog").claimed("blog", 2).events
        step = after(*before, delta("Tea", attempt=2), second).steps["blog"]
        assert (step.attempt, step.lost, step.text) == (2, 1, "Tea")

    def test_an_attempt_that_failed_is_not_lost(self) -> None:
        steps = after(History().requested().claimed("blog").failed_attempt("blog").claimed("blog", 2)).steps
        assert loss_in_words(steps["blog"]) == ""

    def test_a_reason_that_the_server_told_is_not_repeated(self) -> None:
        frame = {
            **History().requested().claimed("blog").gave_up("blog").events[-1],
            "payload": "Failed: The quota is used up.",
        }
        assert event_in_words(frame_of(frame)).count("The quota is used up") == 1

    def test_the_first_line_names_the_workflow(self) -> None:
        assert ID in event_in_words(frame_of(History().requested().events[0]))

    @pytest.mark.parametrize("ahead_s", [-30, 0, 30])
    def test_a_clock_that_is_wrong_makes_no_time_negative(self, ahead_s: int) -> None:
        step = Step("blog", State.WORKING, attempt=1, began=NOON.astimezone(timezone(timedelta(hours=3))))
        assert words_of(step, NOON + timedelta(seconds=ahead_s)) == f"working, {max(0, ahead_s)} s"
