"""Newer events of a damaged log: which of them may stand behind what was archived, and which are set aside."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.made_up import Author
from chassis.jetstream_log import Entry
from contracts.envelope import encode
from contracts.events import Event
from contracts.subjects import EventSubject, WorkflowKey, history
from contracts.workflow import Workflow, evolve
from services.projector.log.restore.closed_log import AT_ONCE, side_by_side
from services.projector.log.restore.legal import may_follow
from services.projector.log.restore.sorting import FENCE, FENCED, essence, placed, sort_out
from tests.contracts.given import (
    NOON,
    blog_written,
    cancelled,
    claimed,
    completed,
    everything,
    requested,
    resumed,
    writer_of,
)

TEA, COFFEE = WorkflowKey("local", "tea"), WorkflowKey("local", "coffee")


def entries(key: WorkflowKey, *events: Event, first: int = 1, position: int = 1) -> list[Entry]:
    """These events as they stand in a log, from this revision and position on."""
    return [
        _entry(key, event, revision, position + number)
        for number, (event, revision) in enumerate(zip(events, range(first, first + len(events)), strict=True))
    ]


def _entry(key: WorkflowKey, event: Event, revision: int, position: int) -> Entry:
    service = writer_of(event)
    at = NOON + timedelta(seconds=position)
    headers, body = encode(event, id=f"{key.workflow_id}-{position}", service=service, recorded_at=at)
    fence = {FENCE: str(position - 1 if revision > 1 else 0), FENCED: history(key)}
    return Entry(position, str(EventSubject(key, service, event.type, revision)), headers | fence, body)


def fates(newer: Sequence[Entry], archived: dict[WorkflowKey, list[Entry]]) -> list[str | None]:
    taken = frozenset(one.subject for history in archived.values() for one in history)
    return [one.why for one in sort_out(newer, archived, taken)]


class TestFates:
    def test_new_workflow_comes_behind(self) -> None:
        assert fates(entries(COFFEE, *everything()), {TEA: entries(TEA, requested())}) == [None] * len(everything())

    def test_workflow_that_goes_on_where_the_archive_ends_comes_behind(self) -> None:
        newer = entries(TEA, *everything()[1:], completed(), first=2, position=9)
        assert set(fates(newer, {TEA: entries(TEA, requested())})) == {None}

    def test_event_with_a_taken_revision_is_set_aside_with_all_that_follow(self) -> None:
        newer = entries(TEA, claimed("blog"), blog_written(), first=2, position=2)
        archived = {TEA: entries(TEA, requested(), claimed("blog"))}
        assert fates(newer, archived) == [
            "the archive holds another event of this workflow and revision",
            "it follows event 2 of its workflow, which is set aside",
        ]

    def test_event_behind_a_gap_is_set_aside(self) -> None:
        (why,) = fates(entries(TEA, blog_written(), first=5), {TEA: entries(TEA, requested())})
        assert why == "it is revision 5; the archived history has 1 events"

    def test_event_that_the_decider_would_not_have_written_is_set_aside(self) -> None:
        archived = {TEA: entries(TEA, requested(), cancelled())}
        assert fates(entries(TEA, claimed("blog"), first=3), archived) == [
            "work-claimed may not follow the archived history"
        ]

    def test_event_that_cannot_be_read_is_set_aside(self) -> None:
        (entry,) = entries(TEA, requested())
        (why,) = fates([Entry(1, entry.subject, entry.headers, b"no JSON")], {})
        assert why is not None and why.startswith("it cannot be read: ")

    def test_one_that_is_set_aside_holds_no_other_workflow_up(self) -> None:
        newer = [*entries(TEA, blog_written(), first=5), *entries(COFFEE, requested(), position=6)]
        assert [why is None for why in fates(newer, {})] == [False, True]


class TestLegal:
    @given(st.integers(0, 10_000))
    def test_every_history_that_was_decided_is_legal(self, seed: int) -> None:
        state = Workflow()
        for event in Author(seed).history():
            assert may_follow(state, event), event
            state = evolve(state, event)

    @pytest.mark.parametrize(
        ("before", "event"),
        [
            ((), claimed("blog")),
            ((requested(),), requested()),
            ((requested(),), completed()),
            ((requested(),), resumed()),
            ((requested(), blog_written()), blog_written()),
            ((requested(), cancelled()), cancelled()),
        ],
        ids=["nothing before", "asked twice", "too early", "still open", "written twice", "cancelled twice"],
    )
    def test_what_the_decider_refuses_may_not_follow(self, before: tuple[Event, ...], event: Event) -> None:
        state = Workflow()
        for one in before:
            state = evolve(state, one)
        assert not may_follow(state, event)


class TestSideBySide:
    def test_two_events_of_a_workflow_are_never_under_way_together(self) -> None:
        tea, coffee = entries(TEA, *everything()[:2]), entries(COFFEE, *everything()[:3], position=3)
        assert list(side_by_side([tea[0], coffee[0], coffee[1], tea[1], coffee[2]])) == [
            [tea[0], coffee[0]],
            [coffee[1], tea[1]],
            [coffee[2]],
        ]

    @given(st.lists(st.integers(0, 300), max_size=200))
    def test_all_go_in_their_order(self, workflows: list[int]) -> None:
        sent = [Entry(n, f"workflow.local.w{key}.writer.blog-written.1", {}, b"") for n, key in enumerate(workflows)]
        found = list(side_by_side(sent))
        assert [one for some in found for one in some] == sent
        assert all(len(some) <= AT_ONCE for some in found)


class TestPlaced:
    def test_each_is_fenced_by_the_event_before_it_in_its_workflow(self) -> None:
        newer = [*entries(TEA, claimed("blog"), first=2, position=11), *entries(COFFEE, *everything()[:2], position=12)]
        found = placed(newer, 20, {TEA: 7})
        assert [one.position for one in found] == [21, 22, 23]
        assert [one.headers[FENCE] for one in found] == ["7", "0", "22"]

    def test_what_is_placed_where_it_stood_is_not_changed(self) -> None:
        newer = entries(TEA, *everything(), position=1)
        assert placed(newer, 0, {}) == newer

    def test_an_event_is_known_again_wherever_it_is_placed(self) -> None:
        (entry,) = entries(TEA, requested())
        (moved,) = placed([entry], 40, {TEA: 3})
        assert essence(moved) == essence(entry)
