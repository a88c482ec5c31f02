"""The old dialect: what a client of the first version sees of a workflow, frame by frame."""

import json
from collections.abc import Iterable

from hypothesis import given as for_any

from contracts.events import Event, Failure, WorkflowCancelled, WorkflowCompleted, WorkflowFailed, WorkflowRequested
from contracts.old_dialect import Frame, OldDialect
from contracts.works import Work
from tests.contracts.generated import histories, quick
from tests.contracts.given import (
    KEY,
    NOON,
    REFUSED,
    as_recorded,
    attempt_failed,
    blog_written,
    cancelled,
    claimed,
    completed,
    drawn,
    failures,
    gave_up,
    posted,
    requested,
    researched,
    resumed,
)

START = "Starting content creation workflow"
RESEARCH = "Searching internet for information about The history of tea"
BLOG = "Writing blog post"
SOCIAL = "Writing social media post"
ILLUSTRATION = "Drawing illustration for content"


def frames(events: Iterable[Event]) -> list[Frame]:
    """All frames of a workflow with this history."""
    dialect = OldDialect()
    return [frame for recorded in as_recorded(events) for frame in dialect.frames(recorded)]


def payloads(*events: Event) -> list[str]:
    return [frame.payload for frame in frames(events)]


class TestWholeWorkflow:
    parallel = (claimed("social:linkedin"), claimed("illustration"), posted(), drawn(), completed())

    def test_without_research_four_texts_come_in_order(self) -> None:
        told = payloads(requested(), claimed("blog"), blog_written(), *self.parallel)
        assert told == [START, BLOG, SOCIAL, ILLUSTRATION, KEY.workflow_id]

    def test_with_research_its_text_comes_second(self) -> None:
        research = (requested(research=True), claimed("research"), researched())
        told = payloads(*research, claimed("blog"), blog_written(), *self.parallel)
        assert told == [START, RESEARCH, BLOG, SOCIAL, ILLUSTRATION, KEY.workflow_id]

    def test_each_text_is_a_progress_event(self) -> None:
        told = frames([requested(), claimed("blog"), blog_written(), *self.parallel])
        assert [frame.type for frame in told] == ["progress_event"] * 4 + ["results"]


class TestOrder:
    written = (requested(platforms=("x", "linkedin")), claimed("blog"), blog_written())

    def test_an_early_illustration_is_held_back(self) -> None:
        assert payloads(*self.written, claimed("illustration")) == [START, BLOG]

    def test_a_text_held_back_follows_at_its_turn(self) -> None:
        told = payloads(*self.written, claimed("illustration"), drawn(), claimed("social:x"))
        assert told == [START, BLOG, SOCIAL, ILLUSTRATION]

    def test_a_text_held_back_tells_of_its_own_event(self) -> None:
        last = frames([*self.written, claimed("illustration"), claimed("social:x")])[-1]
        assert (last.work, last.revision) == (Work.ILLUSTRATION, 4)

    def test_two_platforms_are_told_once(self) -> None:
        told = payloads(*self.written, claimed("social:x"), claimed("social:linkedin"))
        assert told == [START, BLOG, SOCIAL]

    def test_many_attempts_are_told_once(self) -> None:
        assert payloads(requested(), *failures("blog", 4), claimed("blog", 5)) == [START, BLOG]

    def test_an_early_claim_is_kept_though_it_fails(self) -> None:
        early = (claimed("illustration"), attempt_failed("illustration"), claimed("illustration", 2))
        told = frames([*self.written, *early, claimed("social:x")])
        assert [(frame.payload, frame.attempt) for frame in told[2:]] == [(SOCIAL, 1), (ILLUSTRATION, 1)]


class TestResults:
    def test_a_completed_workflow_ends_with_its_id(self) -> None:
        *_, last = frames([requested(), completed()])
        assert (last.type, last.payload, last.error) == ("results", KEY.workflow_id, None)

    def test_a_failed_workflow_says_failed_and_why(self) -> None:
        *_, last = frames([requested(), claimed("blog"), gave_up("blog", 3)])
        assert (last.type, last.payload) == ("results", "Failed")
        assert (last.work, last.attempt, last.error) == (Work.BLOG, 3, REFUSED)

    def test_a_cancelled_workflow_says_failed_and_why(self) -> None:
        *_, last = frames([requested(), cancelled(reason="A typo.")])
        assert (last.type, last.payload) == ("results", "Failed")
        assert last.error == Failure(code="cancelled", message="A typo.", retryable=True)

    def test_a_cancel_without_a_reason_is_worded(self) -> None:
        *_, last = frames([requested(), cancelled()])
        assert last.error == Failure(code="cancelled", message="The workflow was cancelled.", retryable=True)

    def test_nothing_follows_the_results(self) -> None:
        told = payloads(requested(), cancelled(), resumed(2), claimed("blog", run=2), cancelled(run=2))
        assert told == [START, "Failed"]


class TestFrames:
    def test_structure_stands_beside_the_payload(self) -> None:
        [_, frame] = frames([requested(), claimed("blog", 2)])
        assert json.loads(frame.text()) == {
            "type": "progress_event",
            "payload": BLOG,
            "workflow_id": KEY.workflow_id,
            "revision": 2,
            "event": "work-claimed",
            "work": "blog",
            "attempt": 2,
            "ts": NOON.isoformat().replace("00+00:00", "02Z"),
        }

    def test_a_failure_is_an_object_beside_the_payload(self) -> None:
        *_, last = frames([requested(), gave_up("blog")])
        told = json.loads(last.text())
        assert told["error"] == {"code": REFUSED.code, "message": REFUSED.message, "retryable": False}

    def test_any_topic_stays_a_string(self) -> None:
        topic = '{"title": "茶"}'
        [_, frame] = frames([requested(topic=topic, research=True), claimed("research")])
        assert json.loads(frame.text())["payload"] == f"Searching internet for information about {topic}"


class TestAnyHistory:
    @quick
    @for_any(histories())
    def test_texts_come_once_and_in_order(self, history: tuple[Event, ...]) -> None:
        texts = [frame.payload for frame in frames(history) if frame.type == "progress_event"]
        assert texts == table(history)[: len(texts)]

    @quick
    @for_any(histories())
    def test_results_come_once_and_last(self, history: tuple[Event, ...]) -> None:
        ended = any(isinstance(event, WorkflowCompleted | WorkflowFailed | WorkflowCancelled) for event in history)
        types = [frame.type for frame in frames(history)]
        assert types.count("results") == ended
        assert "results" not in types[:-1]

    @quick
    @for_any(histories())
    def test_a_first_run_that_completes_tells_all(self, history: tuple[Event, ...]) -> None:
        told = [frame.payload for frame in frames(history)]
        if WorkflowCompleted(run=1) in history:
            assert told == [*table(history), KEY.workflow_id]

    @quick
    @for_any(histories())
    def test_a_payload_is_always_a_string(self, history: tuple[Event, ...]) -> None:
        assert all(isinstance(json.loads(frame.text())["payload"], str) for frame in frames(history))

    @quick
    @for_any(histories())
    def test_no_frame_waits_for_a_later_event(self, history: tuple[Event, ...]) -> None:
        """The frames of a history's beginning are the beginning of its frames."""
        whole = frames(history)
        for length in range(len(history)):
            start = frames(history[:length])
            assert whole[: len(start)] == start


def table(history: tuple[Event, ...]) -> list[str]:
    """The texts that this workflow may be told by, in the order of the design's table."""
    request = history[0]
    assert isinstance(request, WorkflowRequested)
    research = [f"Searching internet for information about {request.topic}"] if request.research else []
    return [START, *research, BLOG, SOCIAL, ILLUSTRATION]
