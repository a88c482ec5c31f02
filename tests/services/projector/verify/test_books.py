"""The books: counters that do not add up, and workflows held wrongly, or wrongly not held, are named."""

from datetime import timedelta

import pytest

from chassis.jetstream_log import Entry
from contracts.envelope import encode
from contracts.events import Event
from contracts.subjects import WorkflowKey
from services.projector.verify.books import Hold, readable
from tests.contracts.given import KEY, NOON, blog_written, claimed, gave_up, requested, writer_of
from tests.services.projector.press import Press
from tests.services.projector.verify.planted import COFFEE, COFFEE_EVENTS, damaged, examined, subject_of


class TestBooks:
    async def test_a_wrong_count_of_applied_events_is_named(self, filled: Press) -> None:
        lines = await damaged(filled, "UPDATE projection.checkpoints SET applied = applied + 1")
        assert lines == ["checkpoint: 17 applied and 2 held events are not the 18 of the log"]

    async def test_a_wrong_count_of_held_events_is_named(self, filled: Press) -> None:
        lines = await damaged(filled, "UPDATE projection.checkpoints SET applied = applied + 1, held = held - 1")
        assert lines == ["checkpoint: counts 1 held events, the quarantine lists 2"]

    async def test_another_log_is_named_and_nothing_else(self, filled: Press) -> None:
        (line,) = await damaged(filled, "UPDATE projection.checkpoints SET epoch = 'other'")
        assert line.startswith("checkpoint: was built from the log other; this log is ")

    async def test_a_checkpoint_behind_the_tables_is_noticed(self, filled: Press) -> None:
        lines = await damaged(filled, "UPDATE projection.checkpoints SET position = 16, applied = 16, held = 0")
        assert "archive: holds positions 17 to 18, which the tables do not contain" in lines
        assert "quarantine local/broken: it is held from position 17 on, where none of its events stands" in lines

    async def test_a_checkpoint_beyond_the_log_is_named(self, filled: Press) -> None:
        lines = await damaged(filled, "UPDATE projection.checkpoints SET position = 20, applied = 18")
        assert lines == [
            "log: ends at position 18, before the checkpoint at 20",
            "archive: holds nothing at positions 19 to 20",
        ]


class TestQuarantine:
    async def test_an_unreadable_event_that_is_not_held_is_named(self, filled: Press) -> None:
        lines = await damaged(
            filled, "DELETE FROM projection.quarantine", "UPDATE projection.checkpoints SET held = 0, applied = 18"
        )
        (line,) = lines
        assert line.startswith("quarantine local/broken: it is not held, but position 17 cannot be applied: ")

    async def test_a_workflow_that_is_held_too_late_is_named(self, filled: Press) -> None:
        lines = await damaged(filled, "UPDATE projection.quarantine SET position = 18, events = 1")
        assert lines[0].startswith(
            "quarantine local/broken: it is held from position 18 on, but 17 cannot be applied: position 17: "
        )

    async def test_a_workflow_held_for_another_reason_is_held_from_there(self, filled: Press) -> None:
        hold = Hold(15, str(subject_of(COFFEE, COFFEE_EVENTS[4], 5)), "Postgres cannot store it.", 1)
        lines = await damaged(
            filled,
            held(COFFEE, hold),
            "UPDATE read_1.workflows SET "
            "(status, run, revision, position, updated_at, closed_at) ="
            "('cancelled', 1, 4, 14, w.updated_at, w.updated_at) "
            "FROM (SELECT recorded AS updated_at FROM (SELECT (headers::jsonb ->> 'ce-time')::timestamptz AS recorded"
            " FROM archive.events WHERE position = 14) e) w WHERE workflow_id = 'coffee'",
            "UPDATE projection.checkpoints SET held = 3, applied = 15",
        )
        assert lines == []
        assert (await examined(filled)).books.quarantine[COFFEE] == hold

    async def test_rows_beyond_such_a_hold_are_named(self, filled: Press) -> None:
        hold = Hold(15, str(subject_of(COFFEE, COFFEE_EVENTS[4], 5)), "Postgres cannot store it.", 1)
        moved = "UPDATE projection.checkpoints SET held = 3, applied = 15"
        lines = await damaged(filled, held(COFFEE, hold), moved)
        assert "workflows local/coffee: revision is 5, the log says 4" in lines

    @pytest.mark.parametrize(
        ("damage", "named"),
        [
            ("events = 3", "it counts 3 held events, there are 2"),
            ("position = 3", "it is held from position 3 on, where none of its events stands"),
            ("subject = 'elsewhere'", "it names the subject 'elsewhere'; at 17 stands"),
        ],
    )
    async def test_a_wrong_entry_is_named(self, filled: Press, damage: str, named: str) -> None:
        lines = await damaged(filled, f"UPDATE projection.quarantine SET {damage}")  # noqa: S608 - ours
        assert any(line.startswith(f"quarantine local/broken: {named}") for line in lines)

    async def test_a_hold_of_an_unknown_workflow_is_named(self, filled: Press) -> None:
        lines = await damaged(filled, "UPDATE projection.quarantine SET workflow_id = 'nowhere'")
        assert "quarantine local/nowhere: the log knows no such workflow" in lines


def held(key: WorkflowKey, hold: Hold) -> str:
    """The statement that holds this workflow."""
    values = ", ".join(f"'{value}'" for value in (*key, hold.position, hold.subject, hold.error, hold.events))
    columns = "generation, owner, workflow_id, position, subject, error, events"
    return f"INSERT INTO projection.quarantine ({columns}) VALUES (1, {values})"  # noqa: S608 - our own words


def entries_of(*events: Event, revisions: tuple[int, ...] = ()) -> list[Entry]:
    """These events as they stand in the log, from position 5 on."""
    return [
        Entry(position, str(subject_of(KEY, event, revision)), *encoded(event, revision))
        for position, (event, revision) in enumerate(
            zip(events, revisions or range(1, len(events) + 1), strict=True), start=5
        )
    ]


def encoded(event: Event, revision: int) -> tuple[dict[str, str], bytes]:
    recorded_at = NOON + timedelta(seconds=revision)
    return encode(event, id=f"id-{revision}", service=writer_of(event), recorded_at=recorded_at)


class TestWhatCanBeApplied:
    def test_a_sound_history_is_applied_whole(self) -> None:
        history, unfit = readable(entries_of(requested(), claimed("blog"), blog_written()))
        assert ([one.revision for one in history], unfit) == ([1, 2, 3], None)

    def test_an_unreadable_event_ends_it(self) -> None:
        first, second, third = entries_of(requested(), claimed("blog"), blog_written())
        history, unfit = readable([first, Entry(second.position, second.subject, second.headers, b"{"), third])
        assert unfit is not None
        assert (len(history), unfit.position) == (1, 6)

    @pytest.mark.parametrize("revisions", [(1, 3), (1, 1), (1, 5)])
    def test_a_revision_out_of_order_ends_it(self, revisions: tuple[int, ...]) -> None:
        history, unfit = readable(entries_of(requested(), claimed("blog"), revisions=revisions))
        assert unfit is not None
        assert (len(history), unfit.position) == (1, 6)

    def test_a_history_that_begins_late_is_not_begun(self) -> None:
        history, unfit = readable(entries_of(requested(), revisions=(2,)))
        assert unfit is not None
        assert (history, unfit.position) == ([], 5)

    def test_a_history_without_a_request_is_not_begun(self) -> None:
        history, unfit = readable(entries_of(gave_up("blog")))
        assert unfit is not None
        assert (history, unfit.why) == ([], "its first event is workflow-failed")
