"""Unfinished texts: whatever is lost, doubled or late, a listener hears each character of an attempt once, in order."""

from hypothesis import given as for_any
from hypothesis import settings as examples
from hypothesis import strategies as st

from contracts.deltas import Delta, TextsHeard
from contracts.events import Event
from contracts.works import Work
from tests.contracts.given import as_recorded, blog_written, cancelled, claimed, gave_up, requested, resumed

TEXT = "Once upon a time there was 🍵, and people drank it."


def piece(start: int, end: int, *, attempt: int = 1, run: int = 1, work: Work = Work.BLOG) -> Delta:
    return Delta(work=work, run=run, attempt=attempt, offset=start, text=TEXT[start:end])


def listener(*events: Event) -> TextsHeard:
    """Somebody who was told these events."""
    texts = TextsHeard()
    for recorded in as_recorded(events):
        texts.note(recorded)
    return texts


pieces = st.tuples(st.integers(0, len(TEXT)), st.integers(0, len(TEXT))).map(lambda ends: piece(min(ends), max(ends)))


class TestWhateverComes:
    @for_any(st.lists(pieces, max_size=30))
    @examples(deadline=None, max_examples=300)
    def test_what_is_heard_is_a_beginning_of_the_text_without_a_gap(self, story: list[Delta]) -> None:
        texts, heard = listener(requested()), ""
        for delta in story:
            if news := texts.news(delta):
                assert news.offset == len(heard) and news.text
                heard += news.text
        assert TEXT.startswith(heard)

    @for_any(st.lists(pieces, max_size=30), st.integers(1, len(TEXT)))
    @examples(deadline=None, max_examples=300)
    def test_whole_text_makes_a_listener_whole(self, story: list[Delta], length: int) -> None:
        texts, heard = listener(requested()), ""
        for delta in [*story, piece(0, length)]:
            if news := texts.news(delta):
                heard += news.text
        assert len(heard) >= length


class TestNewAttempts:
    def test_newer_attempt_begins_anew(self) -> None:
        texts = listener(requested())
        texts.news(piece(0, 9))
        news = texts.news(piece(0, 4, attempt=2))
        assert news and (news.attempt, news.offset, news.text) == (2, 0, TEXT[:4])

    def test_next_run_begins_anew(self) -> None:
        texts = listener(requested())
        texts.news(piece(0, 9, attempt=3))
        news = texts.news(piece(0, 4, run=2))
        assert news and (news.run, news.offset) == (2, 0)

    def test_older_attempt_is_not_heard_any_more(self) -> None:
        texts = listener(requested(), claimed("blog", attempt=2))
        assert texts.news(piece(0, 9)) is None

    def test_piece_before_its_claim_is_heard(self) -> None:
        texts = listener(requested())
        assert texts.news(piece(0, 9, attempt=2))

    def test_claim_of_the_attempt_that_is_heard_repeats_nothing(self) -> None:
        texts = listener(requested())
        texts.news(piece(0, 9))
        for recorded in as_recorded([claimed("blog")]):
            texts.note(recorded)
        assert texts.news(piece(0, 9)) is None

    def test_works_have_texts_of_their_own(self) -> None:
        texts = listener(requested())
        texts.news(piece(0, 9))
        assert texts.news(piece(0, 4, work=Work.SOCIAL_X))


class TestTheEnd:
    def test_nothing_is_heard_of_a_work_that_is_made(self) -> None:
        texts = listener(requested(), claimed("blog"), blog_written())
        assert texts.news(piece(0, 9, attempt=2)) is None

    def test_nothing_is_heard_of_a_closed_run(self) -> None:
        for end in (cancelled(), gave_up("blog")):
            assert listener(requested(), claimed("blog"), end).news(piece(0, 9)) is None

    def test_resumed_workflow_is_heard_again(self) -> None:
        assert listener(requested(), cancelled(), resumed()).news(piece(0, 9, run=2))
