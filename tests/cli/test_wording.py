"""How things are said: harmless texts, times, sizes and costs."""

import json
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.frames import Unreadable, frame_of, read_frame
from cli.wording import ago, cost, harmless, lasted, name_of, one_line, pretty, size, used
from tests.cli.given import Json, workflow

ANYTHING = st.text(st.characters(exclude_categories=[]), max_size=80)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANYTHING,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANYTHING, inner, max_size=4),
    max_leaves=12,
)


def commands(text: str) -> set[str]:
    """What a terminal would obey, or cannot be sent to it."""
    return {one for one in text if unicodedata.category(one) in ("Cc", "Cs")} - {"\n", "\t"}


class TestHarmlessTexts:
    @given(JSON)
    def test_no_text_commands_a_terminal(self, value: Any) -> None:
        assert not commands(str(json.dumps(harmless(value), ensure_ascii=False)))

    @given(ANYTHING)
    def test_a_line_is_one_line(self, text: str) -> None:
        assert not commands(one_line(text)) | ({"\n", "\t"} & set(one_line(text)))

    @given(ANYTHING, st.integers(1, 20))
    def test_a_line_is_as_long_as_it_may_be(self, text: str, length: int) -> None:
        assert len(one_line(text, length)) <= length

    @given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
    def test_ordinary_texts_stay_as_they_are(self, text: str) -> None:
        assert harmless(text) == text

    @given(JSON)
    def test_json_is_the_same_value_and_commands_nothing(self, value: Any) -> None:
        assert json.loads(pretty(value)) == value
        assert not commands(pretty(value))

    def test_direction_marks_cannot_turn_our_own_words(self) -> None:
        assert one_line("tea \u202eeci\u2066") == "tea eci"


class TestFrames:
    @pytest.mark.parametrize("text", ["", "tea", "[]", "{}", '{"type": 1}', "[" * 100_000])
    def test_what_is_no_frame_is_refused(self, text: str) -> None:
        with pytest.raises(Unreadable):
            read_frame(text)

    @given(st.dictionaries(st.sampled_from(["revision", "ts", "data", "error", "offset", "payload", "work"]), JSON))
    def test_keys_of_another_kind_are_left_out(self, keys: Json) -> None:
        assert frame_of({"type": "event", **keys}).type == "event"


class TestNumbers:
    @pytest.mark.parametrize(
        ("seconds", "told"), [(-3, "0 s"), (12.4, "12 s"), (185, "3 min 5 s"), (7800, "2 h 10 min"), (60, "1 min 0 s")]
    )
    def test_durations(self, seconds: float, told: str) -> None:
        assert lasted(timedelta(seconds=seconds)) == told

    @pytest.mark.parametrize(
        ("passed", "told"),
        [
            (timedelta(seconds=-5), "0 s ago"),
            (timedelta(minutes=5), "5 min ago"),
            (timedelta(hours=23), "23 h ago"),
            (timedelta(days=1), "1 day ago"),
            (timedelta(days=30), "2026-10-23"),
        ],
    )
    def test_moments(self, passed: timedelta, told: str) -> None:
        assert ago(NOW - passed, NOW) == told

    @pytest.mark.parametrize(("number", "told"), [(0, "0 B"), (1400, "1.4 kB"), (5 * 10**15, "5000.0 TB")])
    def test_sizes(self, number: int, told: str) -> None:
        assert size(number) == told

    @pytest.mark.parametrize(
        ("work", "told"), [("social:x", "X post"), ("social:mastodon", "Mastodon post"), ("video", "video")]
    )
    def test_names(self, work: str, told: str) -> None:
        assert name_of(work) == told


class TestCost:
    def test_a_cost_that_is_known(self) -> None:
        assert cost(workflow()) == "cost: $0.0123"

    def test_no_price_at_all(self) -> None:
        told = with_cost(0.0, {"model": "tea-1", "cost_usd": None}, {"model": "ink-2", "cost_usd": None})
        assert cost(told) == "cost: unknown (no price is known for ink-2 and tea-1)"

    def test_a_price_for_some(self) -> None:
        told = with_cost(0.5, {"model": "tea-1", "cost_usd": None}, {"model": "ink-2", "cost_usd": 0.5})
        assert cost(told) == "cost: at least $0.5000 (no price is known for tea-1)"

    def test_an_attempt_that_may_have_been_billed(self) -> None:
        told = with_cost(0.5)
        told["works"][0]["attempts"] = [{"cost_known": False, "usage": None}]
        assert cost(told) == "cost: at least $0.5000 (an attempt that failed may have been billed)"

    def test_a_reason_that_is_not_told(self) -> None:
        assert cost(with_cost(0.0)) == "cost: unknown (the server could not tell all of it)"

    def test_what_was_used(self) -> None:
        assert used(workflow()["usage"]) == (
            "used: 5,200 tokens read (200 of them cached), 1,900 written, 1 image, 2 searches, 4 calls"
        )


def with_cost(dollars: float, *usages: Json) -> Json:
    """A workflow whose whole cost is not known."""
    told = workflow()
    told["usage"] |= {"cost_usd": dollars, "cost_known": False}
    told["works"] = [
        {"work": "blog", "status": "made", "attempts": [{"cost_known": True, "usage": one} for one in usages]}
    ]
    return told
