"""The handlers, pure: whatever the history, and however it is cut into batches, the rows are those of the slow fold."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st

from benchmarks.made_up import Author
from chassis.jetstream_log import Entry
from contracts.envelope import encode
from contracts.events import Event, WorkflowRequested
from contracts.subjects import EventSubject, WorkflowKey
from services.projector.batch import Batch, Held, fold, steps
from services.projector.tables import TABLES
from services.projector.verify.slow_fold.rows import rows_of
from tests.contracts.generated import events, histories, quick
from tests.contracts.given import (
    KEY,
    USAGE,
    as_recorded,
    attempt_failed,
    blog_written,
    claimed,
    completed,
    everything,
    posted,
    requested,
)

Rows = dict[str, dict[tuple[object, ...], Any]]


def entries_of(history: Sequence[Event], *, key: WorkflowKey = KEY, after: int = 0) -> list[Entry]:
    """The history as it stands in a log that holds nothing else."""
    told = as_recorded(history, key)
    return [entry_of(dataclasses.replace(one, position=after + number)) for number, one in enumerate(told, start=1)]


def entry_of(one: Any) -> Entry:
    headers, body = encode(one.event, id=one.id, service=one.service, recorded_at=one.recorded_at)
    return Entry(one.position, str(EventSubject(one.key, one.service, one.event.type, one.revision)), headers, body)


def applied(batches: Sequence[Sequence[Entry]]) -> tuple[Rows, Batch]:
    """The tables after these batches, as if they had been empty before. -> their rows, and the last batch"""
    tables: Rows = {table.name: {} for table in TABLES}
    so_far, held = dict[WorkflowKey, Any](), dict[WorkflowKey, Held]()
    batch = Batch()
    for entries in batches:
        batch = fold(steps(entries), TABLES, so_far, held, {})
        held = batch.held
        for name, rows in batch.rows.items():
            tables[name] |= rows
        so_far = {WorkflowKey(row.owner, row.workflow_id): row for row in tables["workflows"].values()}
    return tables, batch


def plain(tables: Rows) -> dict[str, list[dict[str, Any]]]:
    return {name: [dataclasses.asdict(rows[key]) for key in sorted(rows, key=str)] for name, rows in tables.items()}


def expected(history: Sequence[Event]) -> dict[str, list[dict[str, Any]]]:
    told = [dataclasses.replace(one, position=number) for number, one in enumerate(as_recorded(history), start=1)]
    keys = {table.name: table.key for table in TABLES}
    return {
        name: sorted(rows, key=lambda row: str(tuple(row[column] for column in keys[name])))
        for name, rows in rows_of(told).items()
    }


@quick
@for_any(histories(), st.data())
def test_any_history_in_any_batches_gives_the_rows_of_the_slow_fold(
    history: tuple[Event, ...], data: st.DataObject
) -> None:
    entries = entries_of(history)
    cut = data.draw(st.integers(0, len(entries)))
    tables, _ = applied([entries[:cut], entries[cut:]])
    assert plain(tables) == expected(history)


@pytest.mark.parametrize("seed", range(5))
def test_made_up_histories_give_the_rows_of_the_slow_fold(seed: int) -> None:
    author = Author(seed)
    for history in (author.history() for _ in range(60)):
        assert plain(applied([entries_of(history)])[0]) == expected(history)


@quick
@for_any(st.lists(events().filter(lambda event: not isinstance(event, WorkflowRequested)), max_size=8))
def test_facts_in_any_order_are_interpreted_and_never_refused(told: list[Event]) -> None:
    history = [requested(), *told]
    tables, batch = applied([entries_of(history)])
    assert not batch.held
    assert plain(tables) == expected(history)


class TestHeld:
    def test_unreadable_event_holds_its_workflow_from_there_on(self) -> None:
        entries = entries_of(everything())
        bad = dataclasses.replace(entries[1], body=b"no JSON")
        tables, batch = applied([[entries[0], bad, *entries[2:]]])
        assert [row.revision for row in tables["workflows"].values()] == [1]
        assert (batch.held[KEY].position, batch.held[KEY].events, batch.applied) == (2, 3, 1)
        assert "is not JSON" in batch.held[KEY].error

    def test_held_workflow_stays_held_in_later_batches(self) -> None:
        entries = entries_of(everything())
        bad = dataclasses.replace(entries[1], body=b"no JSON")
        tables, batch = applied([[entries[0], bad], entries[2:]])
        assert (batch.held[KEY].position, batch.held[KEY].events, batch.applied) == (2, 2, 0)
        assert [row.revision for row in tables["workflows"].values()] == [1]

    def test_others_in_the_same_batch_are_applied(self) -> None:
        bad = dataclasses.replace(entries_of([requested()])[0], body=b"")
        other = WorkflowKey("local", "other")
        tables, batch = applied([[bad, *entries_of(everything(), key=other, after=1)]])
        assert [row.workflow_id for row in tables["workflows"].values()] == ["other"]
        assert (batch.applied, batch.left_out) == (4, 1)

    @pytest.mark.parametrize(
        ("revision", "why"), [(1, "revision 1 follows 1"), (3, "revision 3 follows 1")], ids=["repeat", "gap"]
    )
    def test_revision_out_of_order_holds_its_workflow(self, revision: int, why: str) -> None:
        first, second = entries_of([requested(), claimed("blog")])
        subject = str(EventSubject(KEY, "writer", "work-claimed", revision))
        _, batch = applied([[first, dataclasses.replace(second, subject=subject)]])
        assert batch.held[KEY].error == why

    def test_history_that_begins_with_something_else_is_held(self) -> None:
        tables, batch = applied([entries_of([claimed("blog"), requested()])])
        assert batch.held[KEY].error == "work-claimed is revision 1 of its history"
        assert (batch.left_out, tables["workflows"]) == (2, {})

    def test_second_request_holds_its_workflow(self) -> None:
        _, batch = applied([entries_of([requested(), requested(topic="Another")])])
        assert batch.held[KEY].error == "workflow-requested is revision 2 of its history"

    def test_what_the_database_refused_is_held_with_its_reason(self) -> None:
        entries = entries_of(everything())
        batch = fold(steps(entries), TABLES, {}, {}, {2: "index row too large"})
        assert (batch.held[KEY].error, batch.held[KEY].position) == ("index row too large", 2)
        assert not batch.rows["blog_posts"]


def test_work_that_nobody_asked_for_is_shown_as_the_last() -> None:
    tables, _ = applied([entries_of([requested(), posted("x"), blog_written(), completed()])])
    (row,) = tables["workflows"].values()
    assert [work["work"] for work in row.works] == ["blog", "social:linkedin", "illustration", "social:x"]


def test_usage_of_each_work_is_kept_over_batches() -> None:
    failed = attempt_failed("blog").model_copy(update={"usage": USAGE, "cost_known": False})
    entries = entries_of([requested(), claimed("blog"), failed, claimed("blog", 2), blog_written(2)])
    tables, _ = applied([[entry] for entry in entries])
    (row,) = tables["workflows"].values()
    (used, *unused) = (work["usage"] for work in row.works)
    assert (used["input_tokens"], used["calls"], used["cost_usd"], used["cost_known"]) == (1_800, 2, 0.0042, False)
    assert used == row.usage
    assert {(one["calls"], one["cost_usd"], one["cost_known"]) for one in unused} == {(0, 0.0, True)}
