"""How a client may want it written: what a brief may say, and how one that does not fit is told."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from contracts.briefs import AUDIENCE_LENGTH_MAX, LANGUAGE_LENGTH_MAX, TONE_LENGTH_MAX, WORDS_MAX, WORDS_MIN, BriefAsked
from contracts.events import Brief, WorkflowRequested
from contracts.requests import ContentRequest, sentence
from contracts.workflow import Workflow, decide
from tests.contracts.generated import quick

SECRET = "hunter2"

MOST = {"tone": TONE_LENGTH_MAX, "audience": AUDIENCE_LENGTH_MAX, "language": LANGUAGE_LENGTH_MAX}
LINES = [*MOST]
BREAKS = ["\n", "\r", "\t", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"]
LENGTHS = ["short", "medium", "long", "50", "600", "5000", "50 words", "600 words", "5000 words"]
NO_LENGTHS = [
    "",
    " ",
    "49",
    "5001",
    "0600",
    "6e2",
    "-600",
    "600.5",
    "600 word",
    "600words",
    "1,600",
    "Short",
    "٦٠٠",
    "600\n",
]


def asked(brief: object) -> ContentRequest:
    return ContentRequest.model_validate({"topic": "Tea", "brief": brief})


def refused(brief: object) -> str:
    """The sentence with which this is refused."""
    with pytest.raises(ValidationError) as wrong:
        asked(brief)
    return sentence(wrong.value)


class TestAllowed:
    def test_all_that_is_asked_is_commanded(self) -> None:
        told = {"tone": "dry", "audience": "people with teapots", "language": "Français", "length": "600 words"}
        assert asked(told).command().brief == Brief(**told)

    @pytest.mark.parametrize("brief", [None, {}, dict.fromkeys(Brief.model_fields)])
    def test_a_brief_may_say_nothing(self, brief: object) -> None:
        assert asked(brief).command().brief == Brief()

    def test_a_request_without_a_brief_has_none(self) -> None:
        assert ContentRequest(topic="Tea").command().brief == Brief()

    @pytest.mark.parametrize("field", LINES)
    @pytest.mark.parametrize("text", ["x", "warm, with dry humour", "日本語", "R&D 🍵 [1] <b> $5 {x}"])
    def test_each_is_any_text_of_one_line(self, field: str, text: str) -> None:
        assert asked({field: text}).command().brief == Brief(**{field: text})

    @pytest.mark.parametrize("field", LINES)
    def test_longest_text_is_allowed(self, field: str) -> None:
        assert asked({field: "x" * MOST[field]})

    @pytest.mark.parametrize("field", LINES)
    def test_space_around_a_text_is_dropped(self, field: str) -> None:
        assert asked({field: f"  {'x' * MOST[field]}\u3000"}).command().brief == Brief(**{field: "x" * MOST[field]})

    @pytest.mark.parametrize("length", LENGTHS)
    def test_length_is_recorded_as_it_was_said(self, length: str) -> None:
        assert asked({"length": length}).command().brief.length == length

    def test_every_number_of_words_in_between_is_allowed(self) -> None:
        allowed = TypeAdapter(list[BriefAsked]).validate_python(
            [{"length": str(n)} for n in range(WORDS_MIN, WORDS_MAX + 1)]
        )
        assert len(allowed) == WORDS_MAX - WORDS_MIN + 1


class TestRefused:
    @pytest.mark.parametrize("field", LINES)
    @pytest.mark.parametrize("sign", BREAKS, ids=ascii)
    def test_what_breaks_a_line_is_told(self, field: str, sign: str) -> None:
        for text in (f"{SECRET}{sign}x", f"{SECRET}{sign}", f"{sign}{SECRET}"):
            assert refused({field: text}) == f"brief.{field}: It has to be one line, without control characters"

    @pytest.mark.parametrize("field", LINES)
    def test_blank_text_is_told(self, field: str) -> None:
        assert refused({field: "  "}) == f"brief.{field}: String should have at least 1 character"

    @pytest.mark.parametrize("field", LINES)
    def test_too_long_text_is_told(self, field: str) -> None:
        told = refused({field: "x" * (MOST[field] + 1)})
        assert told == f"brief.{field}: String should have at most {MOST[field]} characters"

    @pytest.mark.parametrize("field", [*LINES, "length"])
    @pytest.mark.parametrize("value", [5, True, [SECRET], {SECRET: SECRET}, f"{SECRET}\ud800"], ids=ascii)
    def test_what_is_no_text_is_told_and_never_repeated(self, field: str, value: object) -> None:
        told = refused({field: value})
        assert told.startswith(f"brief.{field}: ") and SECRET not in told

    @pytest.mark.parametrize("length", [*NO_LENGTHS, 600, "x" * 10_000], ids=lambda length: ascii(length)[:20])
    def test_no_length_is_told_what_it_has_to_be(self, length: object) -> None:
        assert refused({"length": length}) == (
            "brief.length: It has to be short, medium, long, or a number of words from 50 to 5000, as 600 or 600 words"
        )

    @pytest.mark.parametrize(
        "brief",
        [{SECRET: "x"}, {"tone": "dry", "x" * 60_000: 1}, [SECRET], SECRET, 1, True],
        ids=lambda b: ascii(b)[:20],
    )
    def test_what_is_no_brief_is_told_what_it_has_to_be(self, brief: object) -> None:
        assert refused(brief) == "brief: It has to be an object of tone, audience, language and length alone"

    def test_every_wrong_field_is_named(self) -> None:
        told = refused({"tone": "", "audience": "\n", "language": 1, "length": "huge"})
        assert [part.partition(":")[0] for part in told.split("; ")] == [f"brief.{name}" for name in (*LINES, "length")]


def lines(most: int) -> st.SearchStrategy[str | None]:
    return st.none() | st.text(
        st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=most
    ).filter(str.strip)


briefs = st.fixed_dictionaries(
    {name: lines(most) for name, most in MOST.items()} | {"length": st.none() | st.sampled_from(LENGTHS)}
)


class TestAnyBrief:
    @given(briefs)
    @quick
    def test_what_is_accepted_comes_back_from_the_log(self, told: dict[str, str | None]) -> None:
        event = decide(asked(told).command(), Workflow())
        assert isinstance(event, WorkflowRequested)
        assert WorkflowRequested.model_validate_json(event.model_dump_json()).brief == Brief(
            **{name: value and value.strip() for name, value in told.items()}
        )

    @given(briefs)
    @quick
    def test_documented_patterns_accept_what_is_accepted(self, told: dict[str, str | None]) -> None:
        assert asked(told)
        assert all(value is None or re.fullmatch(pattern(name), value) for name, value in told.items())

    @given(st.sampled_from(LINES), st.text(max_size=5))
    @quick
    def test_documented_pattern_is_the_rule(self, field: str, text: str) -> None:
        try:
            asked({field: text})
            is_accepted = True
        except ValidationError:
            is_accepted = False
        assert is_accepted == (re.fullmatch(pattern(field), text) is not None)


def pattern(field: str) -> str:
    told: dict[str, Any] = BriefAsked.model_json_schema()["properties"][field]
    return told["anyOf"][0]["pattern"]
