"""The subjects: built and parsed alike, safe against any text, and heard by exactly those that wait for them."""

import re

import pytest
from hypothesis import example
from hypothesis import given as for_any
from hypothesis import strategies as st

from contracts.events import EVENT_TYPES, Event, WorkflowCancelled
from contracts.services import SERVICES, STAGES
from contracts.subjects import (
    EVERY_PRESENCE,
    LOG_SUBJECTS,
    REPUBLISH_FROM,
    REPUBLISH_TO,
    WRITTEN_BY,
    BadToken,
    EventSubject,
    WorkflowKey,
    delta,
    every,
    every_live,
    history,
    is_delta,
    live,
    may_stream,
    may_write,
    parse,
    presence,
    token,
    whose_presence,
)
from contracts.workflow import wakes
from contracts.works import Kind
from tests.contracts.generated import events, quick, tokens
from tests.contracts.given import KEY, cancelled, writer_of

BAD_TOKENS = ["", "a.b", ".", "a b", " ", "*", "a*", ">", "a" * 65, "thé", "茶", "a\n", "a\0", "$JS", "a/b", "\ud800"]

keys = st.builds(WorkflowKey, tokens, tokens)
subjects = st.builds(EventSubject, key=keys, service=tokens, event=tokens, revision=st.integers(1, 999_999_999))


def hears(filter: str, subject: str) -> bool:
    """Does a listener to this filter hear this subject? As NATS has it: `*` is one token, `>` one or more."""
    words = [{"*": r"[^.]+", ">": r".+"}.get(word, re.escape(word)) for word in filter.split(".")]
    return re.fullmatch(r"\.".join(words), subject) is not None


def subject_of(event: Event, key: WorkflowKey = KEY, revision: int = 5) -> str:
    """Where the service that writes this event appends it."""
    return str(EventSubject(key, writer_of(event), event.type, revision))


class TestTokens:
    @quick
    @for_any(tokens)
    def test_a_good_token_is_kept_as_it_is(self, text: str) -> None:
        assert token(text) == text

    @pytest.mark.parametrize("text", BAD_TOKENS, ids=ascii)
    def test_any_other_text_is_refused(self, text: str) -> None:
        with pytest.raises(BadToken):
            token(text)

    @pytest.mark.parametrize("text", BAD_TOKENS, ids=ascii)
    def test_no_subject_is_built_with_it(self, text: str) -> None:
        for build in (
            lambda: history(WorkflowKey(text, "w1")),
            lambda: history(WorkflowKey("local", text)),
            lambda: live(WorkflowKey(text, "w1")),
            lambda: live(WorkflowKey("local", text)),
            lambda: delta(WorkflowKey("local", text), "writer"),
            lambda: delta(KEY, text),
            lambda: may_write(text),
            lambda: may_stream(text),
            lambda: presence(text),
            lambda: str(EventSubject(WorkflowKey(text, "w1"), "writer", "blog-written", 1)),
            lambda: str(EventSubject(WorkflowKey("local", text), "writer", "blog-written", 1)),
            lambda: str(EventSubject(KEY, text, "blog-written", 1)),
            lambda: str(EventSubject(KEY, "writer", text, 1)),
        ):
            with pytest.raises(BadToken):
                build()

    def test_a_long_text_is_not_repeated_whole(self) -> None:
        with pytest.raises(BadToken) as refused:
            token("a" * 10_000)
        assert len(str(refused.value)) < 300


class TestEventSubjects:
    @quick
    @for_any(subjects)
    def test_what_is_built_is_parsed_again(self, subject: EventSubject) -> None:
        assert parse(str(subject)) == subject

    @quick
    @for_any(subjects)
    def test_a_live_event_stands_where_it_was_recorded(self, subject: EventSubject) -> None:
        assert parse(f"live.{subject}") == subject

    @quick
    @for_any(st.text())
    @example("workflow.a.b.c.d.1\n")
    @example("live.live.workflow.a.b.c.d.1")
    @example("workflow.a.b.c.d.１")
    def test_any_other_text_is_refused(self, text: str) -> None:
        with pytest.raises(BadToken):
            parse(text)

    @quick
    @for_any(st.lists(st.sampled_from(["workflow", "live", "local", "w1", "writer", "1", "0", "", "*", ">"])))
    def test_what_is_parsed_is_built_alike(self, words: list[str]) -> None:
        subject = ".".join(words)
        try:
            parsed = parse(subject)
        except BadToken:
            return
        assert str(parsed) == subject.removeprefix("live.")

    @pytest.mark.parametrize("revision", ["0", "-1", "01", "+1", "1.0", "", " 1", "1e3", "x", "1234567890"])
    def test_revisions_count_from_one(self, revision: str) -> None:
        with pytest.raises(BadToken):
            parse(f"workflow.local.w1.writer.blog-written.{revision}")


class TestDeltas:
    @quick
    @for_any(keys, st.sampled_from(list(STAGES)))
    def test_a_delta_is_heard_live_and_nowhere_else(self, key: WorkflowKey, stage: str) -> None:
        subject = delta(key, stage)
        assert is_delta(subject)
        assert hears(live(key), subject)
        assert hears(may_stream(stage), subject)
        assert not hears(LOG_SUBJECTS, subject)
        with pytest.raises(BadToken):
            parse(subject)

    @quick
    @for_any(subjects)
    @example(EventSubject(KEY, "delta", "blog-written", 1))
    @example(EventSubject(KEY, "writer", "delta", 1))
    @example(EventSubject(WorkflowKey("local", "delta"), "writer", "delta", 1))
    def test_no_event_is_taken_for_a_delta(self, subject: EventSubject) -> None:
        assert not is_delta(str(subject))
        assert not is_delta(f"live.{subject}")


class TestPresence:
    @pytest.mark.parametrize("service", SERVICES)
    def test_what_is_built_is_read_again(self, service: str) -> None:
        assert whose_presence(presence(service)) == service

    @pytest.mark.parametrize("service", SERVICES)
    def test_it_is_heard_by_who_waits_for_it_alone(self, service: str) -> None:
        assert hears(EVERY_PRESENCE, presence(service))
        assert not any(hears(one, presence(service)) for one in (LOG_SUBJECTS, REPUBLISH_FROM, REPUBLISH_TO))

    @quick
    @for_any(st.text())
    @example("presence")
    @example("presence.")
    @example("presence.writer.1")
    @example("presence.*")
    @example("live.presence.writer")
    def test_any_other_text_is_refused(self, text: str) -> None:
        with pytest.raises(BadToken):
            whose_presence(text)


class TestWhoHearsWhat:
    @quick
    @for_any(events(), keys)
    def test_every_event_is_kept_and_republished(self, event: Event, key: WorkflowKey) -> None:
        subject = subject_of(event, key)
        assert hears(LOG_SUBJECTS, subject)
        assert hears(REPUBLISH_FROM, subject)
        assert hears(REPUBLISH_TO, f"live.{subject}")

    @quick
    @for_any(events(), keys)
    def test_a_history_holds_its_workflow_alone(self, event: Event, key: WorkflowKey) -> None:
        other = WorkflowKey(key.owner, f"{key.workflow_id[:63]}x" if key.workflow_id[-1] != "x" else "y")
        assert hears(history(key), subject_of(event, key))
        assert hears(live(key), f"live.{subject_of(event, key)}")
        assert not hears(history(key), subject_of(event, other))
        assert not hears(live(key), f"live.{subject_of(event, other)}")

    @quick
    @for_any(events())
    def test_each_service_may_write_its_own_events(self, event: Event) -> None:
        subject = subject_of(event)
        assert [service for service in ("gateway", *STAGES) if hears(may_write(service), subject)] == [writer_of(event)]

    @quick
    @for_any(events())
    def test_events_of_one_writer_name_that_writer(self, event: Event) -> None:
        assert WRITTEN_BY.get(event.type, writer_of(event)) == writer_of(event)

    @quick
    @for_any(events())
    def test_a_stage_hears_all_that_wakes_it(self, event: Event) -> None:
        for kinds in STAGES.values():
            woken = any(type(event) in wakes(kind) for kind in kinds)
            heard = [hears(every(waking), subject_of(event)) for kind in kinds for waking in wakes(kind)]
            assert any(heard) == woken

    def test_a_cancel_is_heard_as_it_comes(self) -> None:
        assert hears(every_live(WorkflowCancelled), f"live.{subject_of(cancelled())}")

    @pytest.mark.parametrize("kind", Kind)
    def test_whatever_wakes_a_stage_has_one_writer(self, kind: Kind) -> None:
        assert set(wakes(kind)) <= {EVENT_TYPES[name] for name in WRITTEN_BY}
