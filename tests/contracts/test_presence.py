"""Presence: what a process says of itself is read as it was said, and whatever else comes is refused."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st

from contracts.presence import (
    NAME_LENGTH_MAX,
    PARTS_MAX,
    PRESENCE_BYTES_MAX,
    SENTENCE_LENGTH_MAX,
    BadPresence,
    Presence,
    printable,
)
from tests.contracts.generated import quick

SAID: dict[str, Any] = {
    "worker": "writer@press:1",
    "host": "press",
    "started_at": "2026-11-22T10:00:00Z",
    "parts": {"nats": "ok"},
    "slots": 16,
    "busy": 2,
}

BAD = [
    {"worker": ""},
    {"worker": "w" * (NAME_LENGTH_MAX + 1)},
    {"worker": "a\nb"},
    {"worker": "\x1b[2J"},
    {"worker": "a\u202eb"},
    {"worker": 7},
    {"worker": None},
    {"host": ["press"]},
    {"host": "press\0"},
    {"started_at": "yesterday"},
    {"started_at": "2026-11-22T10:00:00"},
    {"started_at": "0001-01-01T00:00:00Z"},
    {"started_at": "9999-12-31T23:59:59Z"},
    {"parts": None},
    {"parts": ["nats"]},
    {"parts": {"nats": ""}},
    {"parts": {"nats": True}},
    {"parts": {"a\nb": "ok"}},
    {"parts": {"nats": "x" * (SENTENCE_LENGTH_MAX + 1)}},
    {"parts": {str(number): "ok" for number in range(PARTS_MAX + 1)}},
    {"slots": -1},
    {"slots": 1.5},
    {"slots": "16"},
    {"slots": 10**30},
    {"busy": True},
    {"leaving": "yes"},
]

BODIES = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"\xff\xfe",
    b'"writer"',
    b"[" * 10_000,
    b'{"worker": "\\ud800"}',
    b"{" + b" " * PRESENCE_BYTES_MAX + b"}",
]


def body(**changes: object) -> bytes:
    return json.dumps({**SAID, **changes}).encode()


class TestWhatIsSaid:
    def test_all_of_it_is_read(self) -> None:
        assert Presence.read(body()) == Presence(
            worker="writer@press:1",
            host="press",
            started_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
            parts={"nats": "ok"},
            slots=16,
            busy=2,
        )

    def test_service_that_is_no_stage_has_no_slots(self) -> None:
        told = Presence.read(json.dumps({key: SAID[key] for key in SAID if key not in ("slots", "busy")}).encode())
        assert (told.slots, told.busy, told.leaving) == (None, None, False)

    def test_what_newer_code_says_more_is_passed_over(self) -> None:
        assert Presence.read(body(mood="good")) == Presence.read(body())

    def test_part_in_trouble_is_not_ready(self) -> None:
        assert Presence.read(body()).is_ready
        assert not Presence.read(body(parts={"nats": "ok", "consumer": "it is refused"})).is_ready

    def test_largest_presence_is_small_enough_to_be_read(self) -> None:
        wide = "\U0001f375"  # four bytes
        largest = Presence(
            worker=wide * NAME_LENGTH_MAX,
            host=wide * NAME_LENGTH_MAX,
            started_at=datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC),
            parts={
                f"{number:02}" + wide * (NAME_LENGTH_MAX - 2): wide * SENTENCE_LENGTH_MAX for number in range(PARTS_MAX)
            },
            slots=1_000_000,
            busy=1_000_000,
            leaving=True,
        )
        assert Presence.read(largest.model_dump_json().encode()) == largest


class TestWhateverElseComes:
    @pytest.mark.parametrize("change", BAD, ids=ascii)
    def test_wrong_field_is_refused(self, change: dict[str, object]) -> None:
        with pytest.raises(BadPresence):
            Presence.read(body(**change))

    @pytest.mark.parametrize("whole", BODIES, ids=lambda whole: ascii(whole[:12]))
    def test_other_body_is_refused(self, whole: bytes) -> None:
        with pytest.raises(BadPresence):
            Presence.read(whole)

    @quick
    @for_any(st.binary() | st.recursive(st.text() | st.integers(), st.lists).map(lambda one: json.dumps(one).encode()))
    def test_any_bytes_are_read_or_refused(self, whole: bytes) -> None:
        with pytest.raises(BadPresence):
            Presence.read(whole)

    @pytest.mark.parametrize("hostile", ["\n2026 all is well", "\x1b[31m", "x" * 20_000], ids=ascii)
    def test_refusal_is_one_short_line(self, hostile: str) -> None:
        with pytest.raises(BadPresence) as refused:
            Presence.read(body(parts={hostile: 7}))
        words = str(refused.value)
        assert words.isprintable() and len(words) <= SENTENCE_LENGTH_MAX


class TestPrintable:
    @quick
    @for_any(st.text(), st.integers(0, 20))
    def test_any_text_becomes_one_short_line(self, text: str, length_max: int) -> None:
        told = printable(text, length_max)
        assert told.isprintable() and len(told) <= length_max

    def test_what_prints_is_kept(self) -> None:
        assert printable("Postgres: “weg”, 茶", 50) == "Postgres: “weg”, 茶"
