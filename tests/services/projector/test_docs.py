"""docs/read-tables.md: it tells every column, as the tables' own SQL does."""

import re
from pathlib import Path
from typing import Any

import pytest

from services.projector.table import Table
from services.projector.tables import TABLES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "read-tables.md").read_text()


def comments(table: Table[Any]) -> dict[str, str]:
    """What the SQL says of each column."""
    found = re.findall(rf"COMMENT ON COLUMN {table.name}\.(\w+) IS '((?:[^']|'')*)'", table.sql)
    return {column: words.replace("''", "'") for column, words in found}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_has_its_comment(table: Table[Any]) -> None:
    generated = {"search"} & set(comments(table))
    assert set(comments(table)) == set(table.columns) | generated


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_page_tells_every_column_as_the_sql_does(table: Table[Any]) -> None:
    section = PAGE.partition(f"### `{table.name}`\n")[2].partition("\n### ")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| \w+ \| (.*) \|$", section, re.MULTILINE))
    assert told == comments(table)
