"""Verify: each sort of damage to the tables, the archive, the books or the log is planted, and has to be named."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from chassis.connection import Connection
from chassis.database import DatabaseNotSetUp
from chassis.jetstream_log import Entry, JetStreamLog
from chassis.jetstream_store import STREAM
from contracts.envelope import encode
from contracts.events import Event
from contracts.services import PROJECTOR, WRITER
from contracts.subjects import EventSubject, WorkflowKey
from contracts.workflow import EVENTS_MAX
from local.servers import Running, servers
from services.projector import verify as module
from services.projector.verify import (
    LINES_MAX,
    Books,
    CannotBeChecked,
    Difference,
    Hold,
    Report,
    examine,
    readable,
    row_differences,
    verify,
    words,
)
from tests.contracts.given import (
    KEY,
    NOON,
    attempt_failed,
    blog_written,
    cancelled,
    claimed,
    completed,
    drawn,
    gave_up,
    posted,
    requested,
    researched,
    resumed,
    writer_of,
)
from tests.services.projector.press import Press, set_up_press

TEA, COFFEE, BROKEN = (WorkflowKey("local", name) for name in ("tea", "coffee", "broken"))
"""A workflow that has everything, one that went through much, and one that is held from position 17 on."""

TEA_EVENTS = (
    *(requested(research=True), claimed("research"), researched(), claimed("blog"), blog_written(cited=(1, 2))),
    *(claimed("social:linkedin"), posted(), claimed("illustration"), drawn(), completed()),
)
COFFEE_EVENTS = (requested(), claimed("blog"), attempt_failed("blog"), cancelled(), resumed())
HELD_FROM, END = 17, 18


@pytest.fixture(scope="module")
def filled_log() -> Generator[Running]:
    """A log that each test finds as it is here, and leaves so."""
    with servers(nats=True, postgres=True) as running:
        asyncio.run(_fill(running))
        yield running


async def _fill(running: Running) -> None:
    await set_up_press(running)
    async with AsyncExitStack() as stack:
        press = Press(running, stack)
        await press.record(TEA, *TEA_EVENTS)
        await press.record(COFFEE, *COFFEE_EVENTS)
        await press.record(BROKEN, requested())
        assert await press.publish(BROKEN, 2, b"no JSON") == HELD_FROM
        assert await press.publish(BROKEN, 3, b"no JSON") == END


@pytest.fixture
async def filled(filled_log: Running) -> AsyncGenerator[Press]:
    """The log, and tables that were made from it a moment ago, to be damaged."""
    async with AsyncExitStack() as stack:
        press = Press(filled_log, stack)
        await press.make_database_anew()
        await press.project()
        yield press


async def damaged(press: Press, *statements: str) -> list[str]:
    """The differences, as lines, when the database's owner has done this."""
    for statement in statements:
        await (await press.database()).execute(statement)
    return await differences(press)


async def differences(press: Press) -> list[str]:
    return [str(one) for one in await verify(await press.log(), await press.database(PROJECTOR))]


async def examined(press: Press) -> Report:
    return await examine(await press.log(), await press.database(PROJECTOR))


class TestWhenAllIsWell:
    async def test_nothing_differs(self, filled: Press) -> None:
        assert await differences(filled) == []

    async def test_what_was_compared_is_counted(self, filled: Press) -> None:
        report = await examined(filled)
        assert (report.events, report.workflows) == (END, 3)
        assert report.rows == {
            **{"workflows": 3, "blog_posts": 1, "social_media_posts": 1},
            **{"images": 1, "sources": 2},
        }

    async def test_what_is_held_is_listed_with_its_reason(self, filled: Press) -> None:
        ((key, hold),) = (await examined(filled)).books.quarantine.items()
        assert (key, hold.position, hold.events) == (BROKEN, HELD_FROM, 2)
        assert "is not JSON" in hold.error

    async def test_what_the_tables_do_not_contain_yet_is_left_out(self, own_press: Press) -> None:
        await own_press.project(await own_press.record(TEA, requested()))
        await own_press.record(TEA, claimed("blog"))
        await own_press.record(COFFEE, requested())
        report = await examined(own_press)
        assert (report.events, report.workflows, report.differences) == (1, 1, [])

    async def test_progress_is_told_to_the_end(self, filled: Press) -> None:
        told = dict[str, tuple[int, int]]()

        def listen(what: str, done: int, total: int) -> None:
            told[what] = (done, total)

        await examine(await filled.log(), await filled.database(PROJECTOR), told=listen)
        assert told == {"events": (END, END), "workflows": (3, 3), "tables": (5, 5)}

    async def test_a_replica_that_lags_is_read_again(self, filled: Press) -> None:
        lagging = Lagging(await filled.connection(PROJECTOR))
        assert await verify(lagging, await filled.database(PROJECTOR)) == []
        assert lagging.was_short == {"the log", TEA, COFFEE, BROKEN}

    async def test_an_empty_log_and_empty_tables_agree(self, own_press: Press) -> None:
        async with own_press.projecting():
            await own_press.until_projected(0)
        assert await differences(own_press) == []


class Lagging(JetStreamLog):
    """A log whose replica lacks the end at first, of each history and of the whole."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.was_short = set[object]()

    async def read(self, after: int, most: int = 256) -> list[Entry]:
        found = await super().read(after, most)
        return self._short_once("the log", found, [])

    async def history(self, key: WorkflowKey) -> list[Entry]:
        found = await super().history(key)
        return self._short_once(key, found, found[:-1])

    def _short_once(self, what: object, whole: list[Entry], short: list[Entry]) -> list[Entry]:
        if what in self.was_short:
            return whole
        self.was_short.add(what)
        return short


class TestRows:
    @pytest.mark.parametrize(
        ("damage", "named"),
        [
            (
                "workflows SET topic = 'Coffee'",
                "workflows local/tea: topic is 'Coffee', the log says 'The history of tea'",
            ),
            ("workflows SET status = 'open'", "workflows local/tea: status is 'open', the log says 'completed'"),
            ("workflows SET revision = 9", "workflows local/tea: revision is 9, the log says 10"),
            ("workflows SET notes = NULL", "workflows local/tea: notes is None, the log says 'Tea is old.'"),
            ("workflows SET error = '{}'", "workflows local/tea: error is {}, the log says None"),
            ("workflows SET platforms = '[]'", "workflows local/tea: platforms is [], the log says ['linkedin']"),
            (
                "workflows SET works = jsonb_set(works, '{1,attempts,0,outcome}', '\"lost\"')",
                "workflows local/tea: works[1].attempts[0].outcome is 'lost', the log says 'made'",
            ),
            (
                "workflows SET works = jsonb_set(works, '{0,attempts,0,cost_known}', '1')",
                "workflows local/tea: works[0].attempts[0].cost_known is 1, the log says True",
            ),
            (
                "workflows SET usage = usage - 'calls'",
                "workflows local/tea: usage.calls is absent, the log says 2",
            ),
            (
                "workflows SET brief = brief || '{\"mood\": null}'",
                "workflows local/tea: brief.mood is None, the log says absent",
            ),
            ("blog_posts SET markdown = '# Tea'", "blog_posts local/tea edition 1: markdown is '# Tea', the log says"),
            ("blog_posts SET cited = '[1]'", "blog_posts local/tea edition 1: cited is [1], the log says [1, 2]"),
            (
                "blog_posts SET written_at = written_at + interval '1 microsecond'",
                "blog_posts local/tea edition 1: written_at is datetime",
            ),
            (
                "social_media_posts SET length = 5",
                "social_media_posts local/tea platform linkedin edition 1: length is 5, the log says 4",
            ),
            ("images SET sha256 = 'ff'", "images local/tea edition 1: sha256 is 'ff', the log says '5f'"),
            (
                "sources SET quote = 'Said nowhere.'",
                "sources local/tea edition 1 number 1: quote is 'Said nowhere.', the log says None",
            ),
        ],
    )
    async def test_a_changed_column_is_named(self, filled: Press, damage: str, named: str) -> None:
        where = " AND number = 1" if damage.startswith("sources") else ""
        (line,) = await damaged(filled, f"UPDATE read_1.{damage} WHERE workflow_id = 'tea'{where}")
        assert line.startswith(named)

    async def test_each_changed_column_is_a_difference(self, filled: Press) -> None:
        lines = await damaged(filled, "UPDATE read_1.images SET width = 1, height = 2, alt_text = ''")
        assert [line.split()[4] for line in lines] == ["alt_text", "height", "width"]

    @pytest.mark.parametrize(
        ("table", "row"),
        [
            ("workflows", ""),
            ("blog_posts", " edition 1"),
            ("social_media_posts", " platform linkedin edition 1"),
            ("images", " edition 1"),
        ],
    )
    async def test_a_missing_row_is_named(self, filled: Press, table: str, row: str) -> None:
        lines = await damaged(filled, f"DELETE FROM read_1.{table} WHERE workflow_id = 'tea'")  # noqa: S608 - ours
        assert lines == [f"{table} local/tea{row}: the row is missing"]

    async def test_one_missing_row_of_several_is_named(self, filled: Press) -> None:
        lines = await damaged(filled, "DELETE FROM read_1.sources WHERE number = 2")
        assert lines == ["sources local/tea edition 1 number 2: the row is missing"]

    async def test_an_extra_row_is_named(self, filled: Press) -> None:
        lines = await damaged(filled, "INSERT INTO read_1.sources " + a_copy("sources", number="7"))
        assert lines == ["sources local/tea edition 1 number 7: the row has no event in the log"]

    async def test_a_row_under_another_key_is_missing_and_extra(self, filled: Press) -> None:
        lines = await damaged(filled, "UPDATE read_1.blog_posts SET edition = 2")
        assert lines == [
            "blog_posts local/tea edition 1: the row is missing",
            "blog_posts local/tea edition 2: the row has no event in the log",
        ]

    @pytest.mark.parametrize("table", ["workflows", "blog_posts", "social_media_posts", "images", "sources"])
    async def test_a_row_of_an_unknown_workflow_is_named(self, filled: Press, table: str) -> None:
        move = f"UPDATE read_1.{table} SET workflow_id = 'nowhere' WHERE workflow_id = 'tea'"  # noqa: S608 - ours
        lines = await damaged(filled, move)
        assert f"{table} local/nowhere: the log knows no such workflow" in lines

    async def test_a_row_of_another_owner_is_unknown(self, filled: Press) -> None:
        lines = await damaged(filled, "UPDATE read_1.images SET owner = 'eve'")
        assert "images eve/tea: the log knows no such workflow" in lines

    async def test_a_held_workflow_that_went_on_is_named(self, filled: Press) -> None:
        lines = await damaged(filled, "UPDATE read_1.workflows SET revision = 2 WHERE workflow_id = 'broken'")
        assert lines == ["workflows local/broken: revision is 2, the log says 1"]

    async def test_a_column_that_nobody_folds_is_named(self, filled: Press) -> None:
        lines = await damaged(filled, "ALTER TABLE read_1.images ADD COLUMN mood text")
        assert lines == ["images local/tea edition 1: mood is None, the log says absent"]


def a_copy(table: str, **columns: str) -> str:
    """A query for a row like one that is there, but for these columns."""
    changed = ", ".join(f"'{name}', {value}" for name, value in columns.items())
    return f"SELECT (jsonb_populate_record(t, jsonb_build_object({changed}))).* FROM read_1.{table} t LIMIT 1"  # noqa: S608


class TestArchive:
    @pytest.mark.parametrize(
        ("damage", "columns"),
        [
            ("body = 'x'", "body"),
            ("subject = 'x'", "subject"),
            ("headers = '{}'", "headers"),
            ("sha256 = 'x'", "sha256"),
            ("body = 'x', headers = '{}'", "headers, body"),
        ],
    )
    async def test_another_message_is_named(self, filled: Press, damage: str, columns: str) -> None:
        lines = await damaged(filled, f"UPDATE archive.events SET {damage} WHERE position = 5")  # noqa: S608 - ours
        assert lines == [f"archive position 5: not as in the log: {columns}"]

    async def test_missing_messages_are_named(self, filled: Press) -> None:
        lines = await damaged(filled, "DELETE FROM archive.events WHERE position IN (1, 4, 5, 6, 18)")
        assert lines == [
            "archive: holds nothing at position 1",
            "archive: holds nothing at positions 4 to 6",
            "archive: holds nothing at position 18",
        ]

    async def test_messages_beyond_the_tables_are_named(self, filled: Press) -> None:
        move = "UPDATE archive.events SET position = position + 100 WHERE position > 16"
        assert "archive: holds positions 117 to 118, which the tables do not contain" in await damaged(filled, move)

    async def test_messages_before_the_first_are_named(self, filled: Press) -> None:
        lines = await damaged(filled, "UPDATE archive.events SET position = 0 WHERE position = 1")
        assert "archive: holds position 0, which the tables do not contain" in lines

    async def test_the_archive_of_another_log_is_left_alone(self, filled: Press) -> None:
        copy = "INSERT INTO archive.events SELECT 'older', position, subject, headers, 'x', sha256 FROM archive.events"
        assert await damaged(filled, copy) == []


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
        key = WorkflowKey("local", "coffee")
        hold = Hold(15, str(subject_of(key, COFFEE_EVENTS[4], 5)), "Postgres cannot store it.", 1)
        lines = await damaged(
            filled,
            *held(key, hold),
            "UPDATE read_1.workflows SET "
            "(status, run, revision, position, updated_at, closed_at) ="
            "('cancelled', 1, 4, 14, w.updated_at, w.updated_at) "
            "FROM (SELECT recorded AS updated_at FROM (SELECT (headers::jsonb ->> 'ce-time')::timestamptz AS recorded"
            " FROM archive.events WHERE position = 14) e) w WHERE workflow_id = 'coffee'",
            "UPDATE projection.checkpoints SET held = 3, applied = 15",
        )
        assert lines == []
        assert (await examined(filled)).books.quarantine[key] == hold

    async def test_rows_beyond_such_a_hold_are_named(self, filled: Press) -> None:
        hold = Hold(15, str(subject_of(COFFEE, COFFEE_EVENTS[4], 5)), "Postgres cannot store it.", 1)
        moved = "UPDATE projection.checkpoints SET held = 3, applied = 15"
        lines = await damaged(filled, *held(COFFEE, hold), moved)
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


def held(key: WorkflowKey, hold: Hold) -> list[str]:
    """The statement that holds this workflow."""
    values = ", ".join(f"'{value}'" for value in (*key, hold.position, hold.subject, hold.error, hold.events))
    columns = "generation, owner, workflow_id, position, subject, error, events"
    return [f"INSERT INTO projection.quarantine ({columns}) VALUES (1, {values})"]  # noqa: S608 - our own words


class TestLog:
    async def test_a_hole_is_named(self, own_press: Press) -> None:
        await own_press.project(await own_press.record(TEA, *TEA_EVENTS))
        await own_press.api(f"STREAM.MSG.DELETE.{STREAM}", {"seq": 3})
        lines = await differences(own_press)
        assert lines[0] == "log: holds nothing at position 3"
        assert "quarantine local/tea: it is not held, but position 4 cannot be applied" in lines[1]

    async def test_a_log_that_begins_late_is_named(self, own_press: Press) -> None:
        await own_press.record(TEA, *TEA_EVENTS)
        await own_press.project(await own_press.record(COFFEE, *COFFEE_EVENTS))
        await own_press.api(f"STREAM.PURGE.{STREAM}", {"seq": len(TEA_EVENTS) + 1})
        lines = await differences(own_press)
        assert lines[0] == "log: holds nothing at positions 1 to 10"
        assert set(lines[1:]) == {
            f"{table} local/tea: the log knows no such workflow"
            for table in ("workflows", "blog_posts", "social_media_posts", "images", "sources")
        }

    async def test_a_log_that_lost_its_end_is_named(self, own_press: Press) -> None:
        await own_press.project(await own_press.record(TEA, *TEA_EVENTS))
        await own_press.roll_log_back(9)
        lines = await differences(own_press)
        assert lines[0] == "log: ends at position 9, before the checkpoint at 10"
        assert "workflows local/tea: status is 'completed', the log says 'open'" in lines

    async def test_a_log_whose_last_event_was_deleted_is_named(self, own_press: Press) -> None:
        await own_press.project(await own_press.record(TEA, *TEA_EVENTS))
        await own_press.api(f"STREAM.MSG.DELETE.{STREAM}", {"seq": 10})
        assert "log: holds nothing at position 10" in await differences(own_press)

    async def test_other_events_at_the_same_positions_are_named(self, own_press: Press) -> None:
        await own_press.project(await own_press.record(TEA, *TEA_EVENTS))
        await own_press.roll_log_back(9)
        await own_press.record(TEA, cancelled())
        assert "archive position 10: not as in the log: subject, headers, body, sha256" in await differences(own_press)

    async def test_a_workflow_under_a_forbidden_name_is_held_and_compared(self, own_press: Press) -> None:
        subject = str(subject_of(TEA, blog_written(), 1)).replace("tea", "t$a")
        await (await own_press.connection(WRITER)).ask(subject, b"{}", timeout_s=5)
        await own_press.project(1)
        report = await examined(own_press)
        assert (report.differences, list(report.books.quarantine)) == ([], [("local", "t$a")])

    async def test_a_history_longer_than_one_read_is_compared(self, own_press: Press) -> None:
        await own_press.record(TEA, requested())
        await own_press.connection(WRITER)
        revisions = range(2, EVENTS_MAX + 100)
        last = max(await asyncio.gather(*(own_press.publish(TEA, revision, b"") for revision in revisions)))
        await own_press.project(last)
        report = await examined(own_press)
        assert (report.events, report.differences) == (last, [])
        assert report.books.quarantine[TEA].events == last - 1

    async def test_a_history_that_lacks_an_event_of_the_log_is_named(self, filled: Press) -> None:
        class Forgetful(JetStreamLog):
            async def history(self, key: WorkflowKey) -> list[Entry]:
                found = await super().history(key)
                return found[:-1] if key == TEA else found

        forgetful = Forgetful(await filled.connection(PROJECTOR))
        told = await verify(forgetful, await filled.database(PROJECTOR))
        assert told == [Difference("log local/tea", "its history has 9 events, the log 10")]


class TestWhenItCannotBeChecked:
    async def test_tables_that_are_swapped_meanwhile_are_told(self, filled: Press) -> None:
        await (await filled.database()).execute("DROP SCHEMA read_1 CASCADE")
        with pytest.raises(CannotBeChecked, match="run it again"):
            await examined(filled)

    async def test_a_database_that_was_never_set_up_is_told(self, filled: Press) -> None:
        await (await filled.database()).execute("DROP SCHEMA projection CASCADE")
        with pytest.raises(DatabaseNotSetUp, match="is not set up"):
            await examined(filled)

    async def test_tables_that_nobody_made_yet_are_told(self, own_press: Press) -> None:
        with pytest.raises(CannotBeChecked, match="no projector has run"):
            await examined(own_press)

    async def test_the_connection_can_be_used_afterwards(self, filled: Press) -> None:
        await (await filled.database()).execute("DROP SCHEMA read_1 CASCADE")
        connection = await filled.database(PROJECTOR)
        with pytest.raises(CannotBeChecked):
            await verify(await filled.log(), connection)
        assert await connection.fetchval("SELECT 1") == 1


# ---------------------------------------------------------------- without servers


def subject_of(key: WorkflowKey, event: Event, revision: int) -> EventSubject:
    return EventSubject(key, writer_of(event), event.type, revision)


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


class TestValues:
    @pytest.mark.parametrize(
        ("expected", "found"),
        [
            (0.1, json.loads("0.1")),
            (1e300, 10**300),
            (1e22, 10**22),
            (5e-324, 5e-324),
            (5.0, 5),
            (0.0, -0.0),
            (NOON, NOON.astimezone()),
            ({"a": [1, None]}, {"a": [1, None]}),
        ],
    )
    def test_the_same_value_told_otherwise_is_the_same(self, expected: object, found: object) -> None:
        assert lines_of(expected, found) == []

    @pytest.mark.parametrize(
        ("expected", "found"),
        [
            (True, 1),
            (1, True),
            (False, 0.0),
            (None, False),
            (1e300, 10**300 + 1),
            (0.1, 0.1000001),
            ("1", 1),
            (NOON, NOON.replace(tzinfo=None)),
            ([1, 2], [2, 1]),
            ([], {}),
            ({"a": None}, {}),
        ],
    )
    def test_another_value_is_another(self, expected: object, found: object) -> None:
        assert len(lines_of(expected, found)) == 1

    def test_long_texts_are_shown_where_they_part(self) -> None:
        (line,) = lines_of("x" * 500 + "tea" + "y" * 500, "x" * 500 + "milk")
        assert line.startswith("it is 'milk' behind 500 characters, the log says 'teayyy")
        assert len(line) < 160

    def test_long_values_are_cut(self) -> None:
        (line,) = lines_of(list(range(1_000)), [])
        assert len(line) < 120

    def test_a_column_is_told_once(self) -> None:
        assert len(lines_of([1, 2, 3], [4, 5, 6])) == 1


def lines_of(expected: object, found: object) -> list[str]:
    """What is told of a row whose column `it` should be this and is that."""
    told = row_differences("workflows", [{"it": expected}], [{"it": found}])
    return [what for _, what in told]


class TestReport:
    def test_agreement_is_one_sentence(self) -> None:
        assert list(words(a_report()))[-1] == "No difference: they say what the log says."

    def test_the_first_differences_are_listed_and_the_rest_counted(self) -> None:
        told = list(words(a_report(differences=LINES_MAX + 1_003)))
        assert "Different: 1,053 things." in told
        assert told[-2:] == ["  row 49: is wrong", "  … and 1,003 more"]

    def test_what_is_not_kept_is_counted_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "DIFFERENCES_MAX", 60)
        report = a_report(differences=100)
        assert (len(report.differences), report.differences_count) == (60, 100)
        assert list(words(report))[-1] == "  … and 50 more"

    def test_one_thing_is_told_as_one(self) -> None:
        assert "Different: 1 thing." in list(words(a_report(differences=1)))

    def test_each_held_workflow_is_told_in_one_line(self) -> None:
        hold = Hold(17, "somewhere", "it is\nno JSON", 2)
        told = list(words(a_report(quarantine={KEY: hold})))
        assert told[-3:-1] == ["Held: 1 workflow.", "  local/0195-tea from position 17 on, 2 events: it is no JSON"]


def a_report(*, differences: int = 0, quarantine: dict[WorkflowKey, Hold] | None = None) -> Report:
    report = Report(Books(1, "log", 17, 17, 0, quarantine or {}))
    for number in range(differences):
        report.differ(f"row {number}", "is wrong")
    return report


# ---------------------------------------------------------------- as operators run it


async def run(press: Press, **changes: str) -> tuple[int, str, str]:
    """-> exit code, standard output, standard error"""
    environment = {
        "PATH": os.environ["PATH"],
        "PRESSROOM_NATS_URL": press.running.nats_url,
        "PRESSROOM_NATS_PASSWORD": press.running.passwords[PROJECTOR],
        "PRESSROOM_POSTGRES_URL": press.running.postgres_url(PROJECTOR),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.projector.verify"),
        env=environment | changes,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


class TestCommand:
    async def test_agreement_ends_with_zero_and_tells_what_was_compared(self, filled: Press) -> None:
        code, out, err = await run(filled)
        assert (code, out.splitlines()[-1]) == (0, "No difference: they say what the log says.")
        assert "18 events" in out
        assert "3 workflows" in out
        assert "local/broken from position 17 on, 2 events" in out
        assert "100 %" in err

    async def test_a_difference_ends_with_one_and_is_told(self, filled: Press) -> None:
        await (await filled.database()).execute("UPDATE read_1.images SET width = 1")
        code, out, _ = await run(filled)
        assert (code, out.splitlines()[-1]) == (1, "  images local/tea edition 1: width is 1, the log says 64")

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"PRESSROOM_POSTGRES_URL": "postgresql://projector@127.0.0.1:1/pressroom"}, "Connect call failed"),
            ({"PRESSROOM_NATS_PASSWORD": "wrong"}, "password is not known"),
            ({"PRESSROOM_NATS_URL": "nats://127.0.0.1:1"}, "NATS does not answer at nats://127.0.0.1:1."),
        ],
    )
    async def test_a_server_that_is_away_ends_with_two_and_a_sentence(
        self, filled: Press, changes: dict[str, str], why: str
    ) -> None:
        code, out, err = await run(filled, **changes)
        assert (code, out) == (2, "")
        assert "It could not be checked. " in err
        assert why in err
        assert "Traceback" not in err

    async def test_swapped_tables_end_with_two(self, filled: Press) -> None:
        await (await filled.database()).execute("DROP SCHEMA read_1 CASCADE")
        code, _, err = await run(filled)
        assert (code, err.splitlines()[-1]) == (
            2,
            "It could not be checked. A rebuild swapped the tables while they were read; run it again.",
        )
