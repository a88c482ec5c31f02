"""The envelope: what is written is what is read, and what cannot be read is told apart from what is too new."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any, get_origin

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st
from pydantic import FailFast, ValidationError

from contracts.envelope import (
    CAUSE,
    ID,
    ID_LENGTH_MAX,
    SOURCE,
    TIME,
    TRACE,
    TYPE,
    FromTheFuture,
    Malformed,
    Recorded,
    UnreadableEvent,
    decode,
    encode,
)
from contracts.events import (
    COST_USD_MAX,
    EVENT_TYPES,
    MOMENT_MAX,
    MOMENT_MIN,
    NUMBER_MAX,
    BlogWritten,
    Event,
    ResearchCompleted,
    Source,
)
from contracts.subjects import WRITTEN_BY, EventSubject, WorkflowKey
from tests.contracts.generated import events, quick, times, tokens
from tests.contracts.given import (
    KEY,
    NOON,
    USAGE,
    as_recorded,
    attempt_failed,
    blog_written,
    completed,
    requested,
    researched,
)

SUBJECT = str(EventSubject(KEY, "writer", "workflow-completed", 9))
HEADERS = {ID: "id-1", TIME: NOON.isoformat()}
BODY: dict[str, object] = {"type": "workflow-completed", "version": 1, "run": 1}


def read(
    body: bytes | dict[str, object], *, subject: str = SUBJECT, headers: dict[str, str] = HEADERS
) -> Recorded[Event]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode(subject, headers, raw, position=4)


def written(one: Recorded[Event]) -> tuple[str, dict[str, str], bytes]:
    """The subject, headers and body that the event is appended with."""
    headers, body = encode(
        one.event,
        id=one.id,
        service=one.service,
        recorded_at=one.recorded_at,
        cause=one.cause,
        traceparent=one.traceparent,
    )
    return str(EventSubject(one.key, one.service, one.event.type, one.revision)), headers, body


envelopes = st.builds(
    Recorded[Event],
    event=events(),
    id=tokens,
    key=st.builds(WorkflowKey, tokens, tokens),
    service=tokens,
    revision=st.integers(1, 1_000),
    position=st.integers(1, 2**53),
    recorded_at=times,
    cause=st.none() | tokens,
    traceparent=st.none() | tokens,
)


class TestWrittenAndRead:
    @quick
    @for_any(envelopes)
    def test_what_is_written_is_read_again(self, one: Recorded[Event]) -> None:
        assert decode(*written(one), position=one.position) == one

    @quick
    @for_any(envelopes)
    def test_an_event_reads_the_same_when_live(self, one: Recorded[Event]) -> None:
        subject, headers, body = written(one)
        assert decode(f"live.{subject}", headers, body, position=one.position) == one

    def test_headers_carry_the_names_of_cloudevents(self) -> None:
        headers, _ = encode(requested(), id="id-1", service="gateway", recorded_at=NOON)
        assert headers == {
            "ce-specversion": "1.0",
            "content-type": "application/json",
            ID: "id-1",
            TYPE: "workflow-requested",
            TIME: "2027-03-01T12:00:00+00:00",
            SOURCE: "/pressroom/gateway",
        }

    def test_cause_and_trace_travel_in_headers(self) -> None:
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        headers, body = encode(
            completed(), id="id-2", service="writer", recorded_at=NOON, cause="id-1", traceparent=trace
        )
        assert (headers[CAUSE], headers[TRACE]) == ("id-1", trace)
        recorded = read(body, headers=headers)
        assert (recorded.cause, recorded.traceparent) == ("id-1", trace)

    def test_time_keeps_its_moment_in_any_zone(self) -> None:
        there = NOON.astimezone(timezone(timedelta(hours=5, minutes=45)))
        assert read(BODY, headers=HEADERS | {TIME: there.isoformat()}).recorded_at == NOON

    @pytest.mark.parametrize("offset", ["+05:45", "-12:00", "+00:00:30", "-23:59:59"])
    def test_time_is_told_in_utc(self, offset: str) -> None:
        recorded = read(BODY, headers=HEADERS | {TIME: f"2027-03-01T12:00:00{offset}"})
        assert recorded.recorded_at.utcoffset() == timedelta(0)

    @pytest.mark.parametrize("moment", [MOMENT_MIN, MOMENT_MAX], ids=str)
    def test_the_first_and_the_last_moment_are_read(self, moment: datetime) -> None:
        assert read(BODY, headers=HEADERS | {TIME: moment.isoformat()}).recorded_at == moment

    @pytest.mark.parametrize("id", ["1", "i" * ID_LENGTH_MAX], ids=["shortest", "longest"])
    def test_an_id_is_read_as_it_is(self, id: str) -> None:
        assert read(BODY, headers=HEADERS | {ID: id}).id == id

    def test_headers_of_others_are_no_matter(self) -> None:
        assert read(BODY, headers=HEADERS | {"Nats-Stream": "WORKFLOW"}) == read(BODY)

    @pytest.mark.parametrize("one", as_recorded([requested(), completed()]), ids=lambda one: one.event.type)
    def test_a_body_is_plain_json(self, one: Recorded[Event]) -> None:
        assert json.loads(written(one)[2])["type"] == one.event.type


class TestWhatCannotBeStored:
    """Pages and models bring a zero byte, or half a surrogate pair; what was paid for must not be lost to it."""

    @pytest.mark.parametrize("unstorable", ["\x00", "\ud83d", "\udc1d"], ids=["zero", "first half", "second half"])
    def test_a_page_keeps_all_but_that_character(self, unstorable: str) -> None:
        text = f"Bees{unstorable}dance"
        page = Source(number=1, url="https://example.org/1", title=text, quote=text, retrieved_at=NOON)
        found = ResearchCompleted(run=1, attempt=1, notes=text, sources=(page,))
        assert (page.title, page.quote, found.notes) == ("Bees\ufffddance",) * 3
        (one,) = as_recorded([found])
        assert decode(*written(one), position=one.position) == one

    @pytest.mark.parametrize("unstorable", ["\x00", "\ud83d", "\udc1d"], ids=["zero", "first half", "second half"])
    def test_a_text_keeps_all_but_that_character(self, unstorable: str) -> None:
        blog = BlogWritten(run=1, attempt=1, title=f"{unstorable}Bees", markdown=f"They dance.{unstorable}")
        assert (blog.title, blog.markdown) == ("\ufffdBees", "They dance.\ufffd")
        (one,) = as_recorded([blog])
        assert decode(*written(one), position=one.position) == one

    def test_whole_pairs_are_left_alone(self) -> None:
        assert BlogWritten(run=1, attempt=1, title="🐝", markdown="\U0001f41d").title == "\U0001f41d"


class TestFromTheFuture:
    def test_an_unknown_type_is_from_the_future(self) -> None:
        with pytest.raises(FromTheFuture, match="position 4: podcast-recorded is not known"):
            read({"type": "podcast-recorded"}, subject=str(EventSubject(KEY, "studio", "podcast-recorded", 9)))

    def test_a_newer_version_is_from_the_future(self) -> None:
        with pytest.raises(FromTheFuture, match="workflow-completed v2 is newer than v1"):
            read(BODY | {"version": 2, "mood": "proud"})

    def test_an_unknown_type_needs_no_readable_body(self) -> None:
        with pytest.raises(FromTheFuture):
            read(b"\x82\xa3cbor", subject=str(EventSubject(KEY, "studio", "podcast-recorded", 9)))


class TestMalformed:
    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"\xff\xfe", b'{"run": 1', b"[" * 100_000, b'{"run": ' * 100_000],
        ids=["empty", "open", "not UTF-8", "cut", "deep lists", "deep objects"],
    )
    def test_what_is_not_json_is_malformed(self, body: bytes) -> None:
        with pytest.raises(Malformed, match="position 4"):
            read(body)

    @pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"1"])
    def test_what_is_not_an_object_is_malformed(self, body: bytes) -> None:
        with pytest.raises(Malformed, match="not an object"):
            read(body)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"run": 0},
            {"run": "first"},
            {"run": None},
            {"mood": "proud"},
            {"version": 0},
            {"version": "1"},
            {"version": None},
            {"type": "workflow-failed"},
        ],
        ids=str,
    )
    def test_wrong_fields_are_malformed(self, wrong: dict[str, object]) -> None:
        with pytest.raises(Malformed, match="workflow-completed"):
            read(BODY | wrong)

    def test_a_missing_field_is_malformed(self) -> None:
        with pytest.raises(Malformed, match="run"):
            read({"type": "workflow-completed", "version": 1})

    def test_a_platform_named_twice_is_malformed(self) -> None:
        twice = json.loads(requested().model_dump_json()) | {"platforms": ["x", "x"]}
        with pytest.raises(Malformed, match="each platform may be named once"):
            read(twice, subject=str(EventSubject(KEY, "gateway", "workflow-requested", 1)))

    def test_an_unpaired_surrogate_is_malformed(self) -> None:
        body = rb'{"type": "workflow-cancelled", "version": 1, "run": 1, "reason": "\ud83d"}'
        with pytest.raises(Malformed):
            read(body, subject=str(EventSubject(KEY, "gateway", "workflow-cancelled", 9)))

    def test_a_body_too_deep_is_malformed(self) -> None:
        for depth in [100, 400, *range(900, 1_100), 2_000]:  # Python's own limit lies in between
            with pytest.raises(Malformed):
                read(b'{"run": ' + b"[" * depth + b"]" * depth + b"}")

    @pytest.mark.parametrize("subject", ["", "workflow", "live.workflow.local.w1.delta.writer", SUBJECT + ".1"])
    def test_a_subject_of_no_event_is_malformed(self, subject: str) -> None:
        with pytest.raises(Malformed, match="not the subject of an event"):
            read(BODY, subject=subject)

    @pytest.mark.parametrize(
        "headers",
        [{}, {TIME: ""}, {TIME: "noon"}, {TIME: "2027-02-30T12:00:00+00:00"}, {TIME: "2027-03-01T12:00:00"}],
        ids=["missing", "empty", "no time", "no such day", "of no zone"],
    )
    def test_without_its_time_an_event_is_malformed(self, headers: dict[str, str]) -> None:
        with pytest.raises(Malformed, match="position 4"):
            read(BODY, headers=headers)

    @pytest.mark.parametrize(
        "moment",
        [
            "0001-01-01T00:00:00+00:00",
            "0001-01-01T00:00:00+23:59",
            "1969-12-31T23:59:59+00:00",
            "9000-01-01T00:00:00-00:01",
            "9999-12-31T23:59:59+00:00",
            "9999-12-31T23:59:59-23:59",
        ],
    )
    def test_a_time_outside_the_years_is_malformed(self, moment: str) -> None:
        with pytest.raises(Malformed, match="position 4: ce-time lies outside the years 1970 to 9000"):
            read(BODY, headers=HEADERS | {TIME: moment})

    @pytest.mark.parametrize(
        "id", ["", "i" * (ID_LENGTH_MAX + 1), "a\x00b", "\udcff"], ids=["empty", "too long", "zero", "half a pair"]
    )
    def test_an_id_that_no_index_holds_is_malformed(self, id: str) -> None:
        with pytest.raises(Malformed, match="position 4: ce-id is not 1 to 200 characters that can be stored"):
            read(BODY, headers=HEADERS | {ID: id})

    def test_what_was_written_is_not_repeated(self) -> None:
        with pytest.raises(Malformed) as malformed:
            read(BODY | {"run": "a secret topic"})
        assert "secret" not in str(malformed.value)

    @quick
    @for_any(
        st.binary()
        | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
    )
    def test_any_other_body_is_unreadable(self, body: bytes) -> None:
        with pytest.raises(UnreadableEvent):
            read(body)


def body_of(event: Event) -> dict[str, Any]:
    return json.loads(event.model_dump_json())


def read_as(kind: str, body: bytes | dict[str, Any]) -> Event:
    """The event of this type that stands in this body."""
    return read(body, subject=str(EventSubject(KEY, WRITTEN_BY.get(kind, "writer"), kind, 7))).event


class TestNumbers:
    """What JSON's readers tell apart, and Postgres can store."""

    @pytest.mark.parametrize("edition", [1, NUMBER_MAX])
    def test_a_number_is_read_to_the_last_digit(self, edition: int) -> None:
        event = read_as("blog-written", body_of(blog_written()) | {"edition": edition})
        assert isinstance(event, BlogWritten) and event.edition == edition

    @pytest.mark.parametrize("number", [NUMBER_MAX + 1, 2**80, 10**400], ids=["next", "large", "huge"])
    @pytest.mark.parametrize("name", ["run", "attempt", "edition"])
    def test_a_larger_ordinal_is_malformed(self, name: str, number: int) -> None:
        with pytest.raises(Malformed, match=name):
            read_as("blog-written", body_of(blog_written()) | {name: number})

    def test_a_larger_count_is_malformed(self) -> None:
        usage = json.loads(USAGE.model_dump_json()) | {"input_tokens": NUMBER_MAX + 1}
        with pytest.raises(Malformed, match="input_tokens"):
            read_as("blog-written", body_of(blog_written()) | {"usage": usage})

    @pytest.mark.parametrize("number", [NUMBER_MAX + 1, -NUMBER_MAX - 1])
    def test_a_larger_citation_is_malformed(self, number: int) -> None:
        with pytest.raises(Malformed, match="cited"):
            read_as("blog-written", body_of(blog_written()) | {"cited": [1, number]})

    @pytest.mark.parametrize("cost", [0.0, 0.0021, COST_USD_MAX, None])
    def test_a_cost_is_read_as_it_is(self, cost: float | None) -> None:
        usage = json.loads(USAGE.model_dump_json()) | {"cost_usd": cost}
        event = read_as("blog-written", body_of(blog_written()) | {"usage": usage})
        assert isinstance(event, BlogWritten) and event.usage and event.usage.cost_usd == cost

    @pytest.mark.parametrize("cost", ["NaN", "Infinity", "-Infinity", "1e400", "1e300", "-0.01"])
    def test_any_other_cost_is_malformed(self, cost: str) -> None:
        body = blog_written().model_dump_json().replace(str(USAGE.cost_usd), cost)
        with pytest.raises(Malformed, match="cost_usd"):
            read_as("blog-written", body.encode())


class TestMoments:
    @pytest.mark.parametrize(
        "moment", ["0001-01-01T00:00:00+12:00", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"]
    )
    def test_a_retry_outside_the_years_is_malformed(self, moment: str) -> None:
        with pytest.raises(Malformed, match="retry_at"):
            read_as("attempt-failed", body_of(attempt_failed("blog")) | {"retry_at": moment})

    @pytest.mark.parametrize(
        "moment", ["0001-01-01T00:00:00+12:00", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"]
    )
    def test_a_page_outside_the_years_is_malformed(self, moment: str) -> None:
        body = body_of(researched(sources=1))
        body["sources"][0]["retrieved_at"] = moment
        with pytest.raises(Malformed, match="retrieved_at"):
            read_as("research-completed", body)


BAD: list[dict[str, Any]] = [{}] * 300_000
MANY = {f"unknown-{number}": 0 for number in range(60_000)}
FLOODS: dict[str, tuple[Event, dict[str, Any]]] = {
    "sources": (researched(), {"sources": BAD}),
    "citations": (blog_written(), {"cited": BAD}),
    "platforms": (requested(), {"platforms": BAD}),
    "request ids": (blog_written(), {"usage": {"provider": "p", "model": "m", "request_ids": BAD}}),
    "fields of an event": (completed(), MANY),
    "fields of a part": (blog_written(), {"usage": MANY}),
    "fields of an item": (researched(), {"sources": [MANY]}),
}


class TestFloods:
    """A body of 1 MB holds 300,000 mistakes. Each of them told would cost 3 s and 1.2 GB."""

    @pytest.mark.parametrize(("event", "wrong"), FLOODS.values(), ids=FLOODS)
    def test_a_flood_of_mistakes_is_few_errors(self, event: Event, wrong: dict[str, Any]) -> None:
        with pytest.raises(Malformed) as malformed:
            read_as(event.type, body_of(event) | wrong)
        assert isinstance(malformed.value.__cause__, ValidationError)
        assert malformed.value.__cause__.error_count() < 10

    @pytest.mark.parametrize("kind", EVENT_TYPES.values(), ids=lambda kind: kind.__name__)
    def test_every_list_ends_at_its_first_error(self, kind: type[Event]) -> None:
        for name, field in kind.model_fields.items():
            is_list = get_origin(field.annotation) is tuple
            assert not is_list or FailFast() in field.metadata, f"give {kind.__name__}.{name} FIRST_ERROR"
