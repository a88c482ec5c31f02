"""What a client may ask for, and how a request that does not fit is told in a sentence."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.commands import RequestWorkflow
from contracts.events import TOPIC_LENGTH_MAX
from contracts.platforms import Platform
from contracts.requests import ContentRequest, sentence
from contracts.websocket import Start
from contracts.workflow import Workflow, decide

SECRET = "hunter2"
"""Whatever a client sends may be private: no sentence repeats it."""

WRONG: list[tuple[str, Any]] = [
    ("topic", None),
    ("topic", ""),
    ("topic", " \t\n"),
    ("topic", SECRET * TOPIC_LENGTH_MAX),
    ("topic", "x" * (TOPIC_LENGTH_MAX + 1)),
    ("topic", f"{SECRET}\0"),
    ("topic", f"{SECRET}\ud800"),
    ("topic", 1234567),
    ("topic", [SECRET]),
    ("topic", {SECRET: SECRET}),
    ("research", "false"),
    ("research", "true"),
    ("research", SECRET),
    ("research", 1),
    ("research", 0),
    ("research", None),
    ("platforms", []),
    ("platforms", None),
    ("platforms", SECRET),
    ("platforms", [SECRET]),
    ("platforms", ["x", None]),
    ("platforms", ["x", "x"]),
    ("platforms", ["X"]),
    ("platforms", [*Platform, "x"]),
    ("platforms", {SECRET: "x"}),
    ("brief", SECRET),
    ("brief", [SECRET]),
    ("brief", {SECRET: SECRET}),
    ("brief", {"tone": f"{SECRET}\0"}),
    ("brief", {"audience": f"{SECRET}\udfff"}),
    ("brief", {"language": 1234567}),
    ("brief", {"length": SECRET}),
    ("client_request_id", ""),
    ("client_request_id", "x" * 201),
    ("client_request_id", f"{SECRET}\0"),
    ("client_request_id", f"{SECRET}\udfff"),
    ("client_request_id", 1234567),
    ("client_request_id", [SECRET]),
]


def asked(**fields: Any) -> ContentRequest:
    return ContentRequest.model_validate({"topic": "Tea", **fields})


def refused(fields: Any) -> str:
    """The sentence with which this is refused."""
    with pytest.raises(ValidationError) as wrong:
        ContentRequest.model_validate(fields)
    return sentence(wrong.value)


class TestAllowed:
    def test_a_topic_alone_is_enough(self) -> None:
        assert asked().command() == RequestWorkflow(topic="Tea", research=False, platforms=(Platform.LINKEDIN,))

    def test_all_that_is_asked_is_commanded(self) -> None:
        fields: dict[str, Any] = {"research": True, "platforms": ["x", "facebook"], "client_request_id": "r/1"}
        assert asked(**fields).command() == RequestWorkflow(
            topic="Tea", research=True, platforms=(Platform.X, Platform.FACEBOOK), client_request_id="r/1"
        )

    def test_a_request_may_name_every_platform(self) -> None:
        assert asked(platforms=list(Platform)).platforms == tuple(Platform)

    @pytest.mark.parametrize("topic", ["x" * TOPIC_LENGTH_MAX, "茶 🍵", "a\nb", "x", f" {'x' * TOPIC_LENGTH_MAX} "])
    def test_a_topic_is_any_text_of_that_length(self, topic: str) -> None:
        assert asked(topic=topic).topic == topic.strip()

    @pytest.mark.parametrize("request_id", ["x", "x" * 200, "Bestellung № 7"])
    def test_a_request_id_is_any_text_of_that_length(self, request_id: str) -> None:
        assert asked(client_request_id=request_id).client_request_id == request_id

    def test_what_is_allowed_can_be_recorded(self) -> None:
        fields: dict[str, Any] = {"platforms": list(Platform), "client_request_id": "x" * 200}
        assert decide(asked(topic="x" * TOPIC_LENGTH_MAX, **fields).command(), Workflow()) is not None

    def test_fields_of_newer_clients_are_ignored(self) -> None:
        assert asked(mood="proud") == asked()


class TestRefused:
    def test_a_topic_has_to_be_there(self) -> None:
        assert refused({"research": True}) == "topic: Field required"

    def test_a_platform_that_there_is_not_is_all_that_is_told(self) -> None:
        told = refused({"topic": "Tea", "platforms": ["x", "myspace"]})
        assert told.startswith("platforms.1: ") and ";" not in told
        assert ";" not in refused({"topic": "Tea", "platforms": ["myspace"]})

    def test_a_list_without_a_platform_is_told_in_words(self) -> None:
        assert refused({"topic": "Tea", "platforms": []}) == "platforms: It has to name a platform, or to be left out"

    @pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda value: ascii(value)[:40])
    def test_the_sentence_names_the_field(self, field: str, value: object) -> None:
        assert refused({"topic": "Tea", field: value}).startswith((f"{field}: ", f"{field}."))

    @pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda value: ascii(value)[:40])
    def test_the_sentence_never_repeats_what_was_sent(self, field: str, value: object) -> None:
        told = refused({"topic": "Tea", field: value})
        assert SECRET not in told
        assert "1234567" not in told
        assert len(told) < 200

    @pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda value: ascii(value)[:40])
    def test_it_is_refused_as_json_alike(self, field: str, value: object) -> None:
        with pytest.raises(ValidationError):
            ContentRequest.model_validate(json.loads(json.dumps({"topic": "Tea", field: value})))

    def test_every_wrong_field_is_named(self) -> None:
        told = refused({"topic": "", "research": "yes", "platforms": []})
        assert [part.partition(":")[0] for part in told.split("; ")] == ["topic", "research", "platforms"]

    @pytest.mark.parametrize("whole", [None, [SECRET], SECRET, 1])
    def test_what_is_no_object_is_told_as_request(self, whole: object) -> None:
        told = refused(whole)
        assert told.startswith("request: ")
        assert SECRET not in told

    def test_a_name_of_any_length_is_told_in_short(self) -> None:
        with pytest.raises(ValidationError) as wrong:
            Start.model_validate({"type": "start", "topic": "Tea", "x" * 60_000: 1})
        assert len(sentence(wrong.value)) < 200

    def test_a_sentence_names_ten_problems_at_most(self) -> None:
        assert refused({"topic": "Tea", "platforms": [SECRET] * 4, "research": 1}).count(";") <= 9
