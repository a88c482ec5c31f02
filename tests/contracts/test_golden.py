"""Golden files: every shape that was ever stored is read for good, and what is written today is a shape on file."""

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.envelope import ID, TIME, Recorded, decode, encode
from contracts.events import EVENT_TYPES, Event
from contracts.subjects import WRITTEN_BY, EventSubject
from tests.contracts.given import KEY, NOON

FOLDER = Path(__file__).parent / "golden"
FILES = sorted(FOLDER.glob("*.json"))
NEWEST = {name: int(kind.model_fields["version"].default) for name, kind in EVENT_TYPES.items()}


def name_of(file: Path) -> str:
    return file.stem


def shape_of(file: Path) -> tuple[str, int]:
    """<type>.v<version>.json -> type, version"""
    name, _, version = file.stem.rpartition(".v")
    return name, int(version)


def read(file: Path) -> Recorded[Event]:
    """The event in this file, as it would be read from the log."""
    name, _ = shape_of(file)
    subject = EventSubject(KEY, WRITTEN_BY.get(name, "writer"), name, 7)
    return decode(str(subject), {ID: "id-1", TIME: NOON.isoformat()}, file.read_bytes(), position=3)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_every_shape_ever_stored_is_read(file: Path) -> None:
    event = read(file).event
    assert (event.type, event.version) == (shape_of(file)[0], NEWEST[event.type])


@pytest.mark.parametrize(
    "file", [file for file in FILES if shape_of(file)[1] == NEWEST[shape_of(file)[0]]], ids=name_of
)
def test_todays_shape_is_written_as_it_was(file: Path) -> None:
    _, body = encode(read(file).event, id="id-1", service="writer", recorded_at=NOON)
    assert as_value(body) == as_value(file.read_bytes())


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file_is_named_after_its_shape(file: Path) -> None:
    body = as_value(file.read_bytes())
    assert (body["type"], body["version"]) == shape_of(file)


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_version_of_a_type_has_its_file(name: str) -> None:
    missing = set(range(1, NEWEST[name] + 1)) - {version for of, version in map(shape_of, FILES) if of == name}
    assert not missing, f"write tests/contracts/golden/{name}.v{max(missing)}.json, as an event of today is stored"


def as_value(body: bytes) -> dict[str, Any]:
    return json.loads(body)
