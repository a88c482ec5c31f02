"""Subjects: refused as no subject of an event, or built again as they were."""

from collections.abc import Iterable
from contextlib import suppress

from contracts.subjects import (
    BadToken,
    EventSubject,
    WorkflowKey,
    delta,
    history,
    is_delta,
    live,
    parse,
    presence,
    storable,
    token,
    whose,
    whose_presence,
)


def attempt(data: bytes) -> None:
    """Reads the text as each kind of subject."""
    text = data.decode(errors="surrogateescape")
    with suppress(BadToken):
        found = parse(text)
        assert str(found) == text.removeprefix("live.")
        assert parse(f"live.{found}") == found
        assert history(found.key).removesuffix(">") + text.removeprefix("live.").split(".", 3)[3] == str(found)
        assert not is_delta(text) or found.service == "delta"
        assert whose(str(found)) == found.key
    with suppress(BadToken):
        assert presence(whose_presence(text)) == text
    with suppress(BadToken):
        key = WorkflowKey(token(text), "w1")
        assert is_delta(delta(key, "writer")) and delta(key, "writer").startswith(live(key).removesuffix(">"))
    assert storable(storable(text)) == storable(text)
    storable(text).encode()
    if text.count(".") >= 3:
        owner, workflow_id = whose(text)
        assert len(owner) <= 64 and len(workflow_id) <= 64


def seeds() -> Iterable[bytes]:
    """One of each."""
    key = WorkflowKey("local", "01a20262-4036-74ac-b832-5ff8bc7b6bef")
    event = str(EventSubject(key, "writer", "blog-written", 4))
    for subject in (event, f"live.{event}", delta(key, "writer"), presence("gateway"), history(key), f"{event}0" * 9):
        yield subject.encode()
