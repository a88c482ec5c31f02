"""docs/settings.md: each setting in one row, with the default and the bounds that the code has."""

import re
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo

from chassis.settings import Settings
from contracts.services import GATEWAY, ILLUSTRATOR, PROJECTOR, RESEARCH, WRITER
from tests.chassis.test_settings import DOCUMENTED, OF_RUN_ALONE
from worked.example import DOCS

ROW = re.compile(r"^\| `([A-Z0-9_]+)` \|([^|]*)\|([^|]*)\|([^|]*)\|([^|]+)\|$", re.MULTILINE)
ROWS = {name: tuple(cell.strip() for cell in cells) for name, *cells in ROW.findall((DOCS / "settings.md").read_text())}
READERS = {GATEWAY, RESEARCH, WRITER, ILLUSTRATOR, PROJECTOR, "stages", "all", "set-up", "`./run`"}
FIELDS = {
    str(field.validation_alias or f"PRESSROOM_{name.upper()}"): field for name, field in Settings.model_fields.items()
}

OF_TEXT = {"PRESSROOM_IMAGE_SIZE", "PRESSROOM_PROVIDER", "PRESSROOM_PRICES"}
"""Their bounds are those of a text, told in words."""


def test_every_setting_has_its_row_and_no_other() -> None:
    assert set(ROWS) == set(FIELDS) | OF_RUN_ALONE


def test_no_setting_has_two_rows() -> None:
    assert len(ROW.findall((DOCS / "settings.md").read_text())) == len(ROWS)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_default_is_that_of_the_example_file(name: str) -> None:
    """And the example file's is the code's: tests/chassis/test_settings.py."""
    assert ROWS[name][0].strip("`") == DOCUMENTED[name]


@pytest.mark.parametrize("name", [name for name in FIELDS if name not in OF_TEXT])
def test_bounds_are_those_of_the_code(name: str) -> None:
    assert ROWS[name][1] == bounds(FIELDS[name])


@pytest.mark.parametrize("name", ROWS)
def test_readers_are_called_by_their_names(name: str) -> None:
    assert {reader.strip() for reader in ROWS[name][2].split(",")} <= READERS


def bounds(field: FieldInfo) -> str:
    """What may be set, as the page says it."""
    words: Any = field.annotation
    if get_origin(words) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(words))
    if words is bool:
        return "`true`, `false`"
    assert words in (str, int, float) or NoneType in get_args(words) or words.__name__ == "SecretStr"
    least = next((limit.ge for limit in field.metadata if isinstance(limit, Ge)), None)
    above = next((limit.gt for limit in field.metadata if isinstance(limit, Gt)), None)
    most = next((limit.le for limit in field.metadata if isinstance(limit, Le)), None)
    match least, above, most:
        case None, None, None:
            return ""
        case None, _, _:
            return f"above {above}, to {most}"
        case _, _, None:
            return f"at least {least}"
        case _:
            return f"{least} to {most}"
