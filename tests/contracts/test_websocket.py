"""The full dialect's frames: what a client may send, and what every frame to it has."""

import json

import pytest
from hypothesis import given as for_any
from pydantic import BaseModel, ValidationError

from contracts.deltas import Delta
from contracts.events import Event
from contracts.sentences import sentence_of
from contracts.websocket import (
    FIRST_FRAMES,
    LATER_FRAMES,
    Accepted,
    Attach,
    DeltaFrame,
    ErrorFrame,
    EventFrame,
    Heartbeat,
    Ping,
    Pong,
    Start,
    delta_frame,
    event_frame,
)
from contracts.works import Work
from tests.contracts.generated import events, quick
from tests.contracts.given import (
    REFUSED,
    as_recorded,
    attempt_failed,
    blog_written,
    claimed,
    gave_up,
    posted,
    requested,
)

FRAMES = {**FIRST_FRAMES, **LATER_FRAMES}
TO_CLIENT = (EventFrame, DeltaFrame, Accepted, Pong, Heartbeat, ErrorFrame)


def examples(model: type[BaseModel]) -> list[dict[str, object]]:
    return model.model_json_schema()["examples"]


class TestFromTheClient:
    @pytest.mark.parametrize("name", FRAMES)
    def test_every_example_is_understood(self, name: str) -> None:
        for example in examples(FRAMES[name]):
            assert FRAMES[name].model_validate(example).type == name

    @pytest.mark.parametrize("name", FRAMES)
    def test_unknown_key_is_refused(self, name: str) -> None:
        with pytest.raises(ValidationError, match="colour"):
            FRAMES[name].model_validate({**examples(FRAMES[name])[0], "colour": "gold"})

    @pytest.mark.parametrize("revision", [-1, 1.5, "7", True, None, 2**60])
    def test_revision_that_is_none_is_refused(self, revision: object) -> None:
        with pytest.raises(ValidationError):
            Attach.model_validate({"type": "attach", "workflow_id": "w", "after_revision": revision})

    @pytest.mark.parametrize("workflow_id", ["", "a.b", "*", "a b", "x" * 65, 7, None])
    def test_id_that_is_none_is_refused(self, workflow_id: object) -> None:
        with pytest.raises(ValidationError):
            Attach.model_validate({"type": "attach", "workflow_id": workflow_id})

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\0b", 7])
    @pytest.mark.parametrize("name", ["cancel", "resume"])
    def test_reason_that_is_none_is_refused(self, name: str, reason: object) -> None:
        with pytest.raises(ValidationError):
            LATER_FRAMES[name].model_validate({"type": name, "reason": reason})

    def test_start_is_the_request_of_old(self) -> None:
        start = Start.model_validate({"type": "start", "topic": " tea ", "research": True})
        assert (start.command().topic, start.command().research) == ("tea", True)

    def test_ping_may_go_without_an_id(self) -> None:
        assert Ping.model_validate({"type": "ping"}).id == ""


class TestToTheClient:
    @for_any(events())
    @quick
    def test_any_event_becomes_a_frame_with_a_string_payload(self, event: Event) -> None:
        (recorded,) = as_recorded([event])
        told = json.loads(event_frame(recorded).text())
        assert told["type"] == "event" and isinstance(told["payload"], str) and told["payload"]
        assert (told["event"], told["revision"], told["position"]) == (event.type, 1, recorded.position)
        assert told["data"] == event.model_dump(mode="json", exclude={"type", "version"})

    @pytest.mark.parametrize("model", TO_CLIENT)
    def test_every_frame_shows_an_example_with_a_string_payload(self, model: type[BaseModel]) -> None:
        for example in examples(model):
            assert isinstance(example["payload"], str)
            assert json.loads(model.model_validate(example).model_dump_json(exclude_none=True)).keys() == example.keys()

    def test_keys_that_say_nothing_are_left_out(self) -> None:
        (recorded,) = as_recorded([requested()])
        assert not {"work", "attempt", "error"} & json.loads(event_frame(recorded).text()).keys()

    def test_failure_stands_beside_the_payload(self) -> None:
        (recorded,) = as_recorded([gave_up("blog")])
        told = json.loads(event_frame(recorded).text())
        assert told["error"]["code"] and told["work"] == "blog"

    def test_delta_tells_where_its_text_belongs(self) -> None:
        told = delta_frame("w", Delta(work=Work.BLOG, run=1, attempt=2, offset=7, text="tea"))
        assert json.loads(told.text()) == {
            "type": "delta",
            "payload": "tea",
            "workflow_id": "w",
            "work": "blog",
            "run": 1,
            "attempt": 2,
            "offset": 7,
        }


class TestSentences:
    def test_further_attempt_is_counted(self) -> None:
        assert sentence_of(claimed("blog")) == "Writing the blog post"
        assert sentence_of(claimed("social:x", attempt=2)) == "Writing the post for x, attempt 2 of 5"

    def test_artefact_is_named(self) -> None:
        assert sentence_of(blog_written()).startswith("Wrote the blog post: ")
        assert sentence_of(posted()) == "Wrote the post for linkedin"

    def test_failure_says_why_and_when_it_is_tried_again(self) -> None:
        told = sentence_of(attempt_failed("blog"))
        assert told == (
            "Writing the blog post is tried again at 12:01:00 UTC, attempt 2 of 5: The model has too much to do."
        )

    def test_work_that_was_given_up_is_named(self) -> None:
        assert sentence_of(gave_up("blog")) == f"Writing the blog post was given up: {REFUSED.message}"
