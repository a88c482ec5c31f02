"""Cursors and Last-Event-ID: refused, or a number that is written as it was read."""

from collections.abc import Iterable

from pydantic import TypeAdapter, ValidationError

from contracts.events import NUMBER_MAX
from services.gateway.pages import BEGINNING, PageAsked, cursor_at, position_of
from services.gateway.workflows import LastEventId

LAST_EVENT_ID: TypeAdapter[str | None] = TypeAdapter(LastEventId)


def attempt(data: bytes) -> None:
    """Reads the text as each."""
    text = data.decode(errors="surrogateescape")
    try:
        position = position_of(text)
    except ValueError:
        position = None
    if position is not None:
        assert 0 <= position <= BEGINNING
        assert cursor_at(position) == text
    try:
        asked = PageAsked.model_validate({"cursor": text})
    except ValidationError:
        assert position is None or len(text) > 200
    else:
        assert asked.before == position
    try:
        told = LAST_EVENT_ID.validate_python(text)
    except ValidationError:
        return
    assert told is None or 0 <= int(told) < NUMBER_MAX


def seeds() -> Iterable[bytes]:
    """The ends and the middle."""
    for position in (0, 1, 41, NUMBER_MAX, BEGINNING):
        yield cursor_at(position).encode()
    yield b"7"
    yield b"0" * 15
