"""Comparing: what the database holds beside what it has to hold, value by value. Pure."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, cast

from chassis.jetstream_log import Entry
from contracts.subjects import storable
from services.projector.verify.slow_fold.history import Row
from services.projector.verify.slow_fold.rows import KEYS
from services.projector.verify.wording import VALUE_LENGTH_MAX, short

ALIKE_MAX = VALUE_LENGTH_MAX // 2
"""Characters with which two texts may both begin, before only their rests are shown."""


def archive_differences(entry: Entry, archived: Row) -> list[str]:
    """The columns in which the archived message is not that of the log."""
    headers = dict(entry.headers)
    told = json.dumps([entry.subject, headers], sort_keys=True).encode()
    expected = {
        "subject": storable(entry.subject),
        "headers": json.dumps(headers, sort_keys=True),
        "body": entry.body,
        "sha256": hashlib.sha256(told + b"\0" + entry.body).digest(),
    }
    return [column for column, value in expected.items() if archived[column] != value]


def row_differences(table: str, expected: Sequence[Row], found: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Which row, and what is wrong with it."""
    wanted, there = ({_row_name(table, row): row for row in rows} for rows in (expected, found))
    yield from ((name, "the row is missing") for name in wanted if name not in there)
    yield from ((name, "the row has no event in the log") for name in there if name not in wanted)
    for name in [name for name in wanted if name in there]:
        for column in sorted(wanted[name].keys() | there[name].keys()):
            unlike = _unlike(column, wanted[name].get(column, ABSENT), there[name].get(column, ABSENT))
            yield from ((name, what) for what in islice(unlike, 1))


def _row_name(table: str, row: Row) -> str:
    return "".join(f" {column} {row[column]}" for column in KEYS[table])


class _Absent:
    """Stands where one side has nothing, not even null."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


def _unlike(place: str, expected: object, found: object) -> Iterator[str]:
    """Each place at which two values differ, as a line."""
    wanted, there, pairs = _fields(expected), _fields(found), _pairs(expected, found)
    if wanted is not None and there is not None:
        for name in sorted({*wanted, *there}):
            yield from _unlike(f"{place}.{name}", wanted.get(name, ABSENT), there.get(name, ABSENT))
    elif pairs is not None:
        for index, (one, other) in enumerate(pairs):
            yield from _unlike(f"{place}[{index}]", one, other)
    elif not _is_same(expected, found):
        yield _told_apart(place, expected, found)


def _fields(value: object) -> Row | None:
    return cast(Row, value) if isinstance(value, dict) else None


def _pairs(expected: object, found: object) -> list[tuple[Any, Any]] | None:
    """What stands at the same place in two lists of one length; None where they are something else."""
    if not (isinstance(expected, list) and isinstance(found, list)):
        return None
    one, other = cast(list[Any], expected), cast(list[Any], found)
    return list(zip(one, other, strict=True)) if len(one) == len(other) else None


def _is_same(expected: Any, found: Any) -> bool:
    if isinstance(expected, bool) or isinstance(found, bool):  # to Python, true is 1
        return expected is found
    if isinstance(expected, float):  # jsonb keeps a decimal number, and gives a large one back as an integer
        return found == expected or found == Decimal(repr(expected))
    return expected == found


def _told_apart(place: str, expected: object, found: object) -> str:
    if isinstance(expected, str) and isinstance(found, str) and (alike := _alike(expected, found)) > ALIKE_MAX:
        return f"{place} is {short(found[alike:])} behind {alike} characters, the log says {short(expected[alike:])}"
    return f"{place} is {short(found)}, the log says {short(expected)}"


def _alike(one: str, other: str) -> int:
    """With how many characters do both begin?"""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))
