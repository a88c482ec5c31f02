"""Comparing: a row or a copy that is not as the log has it is named, down to the value, and nothing else is."""

import json

import pytest

from services.projector.verify.comparing import row_differences
from tests.contracts.given import NOON
from tests.services.projector.press import Press
from tests.services.projector.verify.planted import damaged


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
                "workflows SET works = jsonb_set(works, '{1,usage,calls}', '9')",
                "workflows local/tea: works[1].usage.calls is 9, the log says 1",
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
