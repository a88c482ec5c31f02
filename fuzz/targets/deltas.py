"""Deltas: refused as malformed; and of any that are not, a listener hears each character of an attempt once, in order.

An input is a delta a line, as JSON. A line that begins with `!` is a claim: `!blog 1 2`, work, run and attempt.
"""

import json
from collections.abc import Iterable

from pydantic import ValidationError

from contracts.deltas import Delta, TextsHeard
from contracts.envelope import Recorded
from contracts.events import WorkClaimed
from contracts.subjects import WorkflowKey
from contracts.websocket import delta_frame
from contracts.works import Work
from fuzz.targets.golden import NOON


def attempt(data: bytes) -> None:
    """A listener hears the lines one after the other."""
    texts, heard = TextsHeard(), dict[tuple[Work, int, int], int]()
    newest: dict[Work, tuple[int, int]] = {}
    for revision, line in enumerate(data.split(b"\n"), start=1):
        if line.startswith(b"!"):
            claim(texts, line, revision)
            continue
        delta = read(line)
        news = texts.news(delta) if delta else None
        if delta is None or news is None:
            continue
        which = (news.work, news.run, news.attempt)
        assert news.text and news.offset == heard.get(which, 0)
        assert delta.text.endswith(news.text) and news.offset + len(news.text) == delta.offset + len(delta.text)
        assert (news.run, news.attempt) >= newest.get(news.work, (0, 0))
        newest[news.work] = news.run, news.attempt
        heard[which] = news.offset + len(news.text)


def read(line: bytes) -> Delta | None:
    """The delta, told on as it was; None for what is none."""
    try:
        delta = Delta.model_validate_json(line)
    except ValidationError:
        return None
    assert Delta.model_validate_json(delta.model_dump_json()) == delta
    assert json.loads(delta_frame("w1", delta).text())["payload"] == delta.text
    return delta


def claim(texts: TextsHeard, line: bytes, revision: int) -> None:
    """Somebody takes a work on."""
    words = line[1:].decode(errors="replace").split()
    if len(words) != 3:
        return
    try:
        event = WorkClaimed.model_validate({"work": words[0], "run": words[1], "attempt": words[2], "worker": "w"})
    except ValidationError:
        return
    key = WorkflowKey("local", "w1")
    texts.note(
        Recorded(event=event, id="e", key=key, service="writer", revision=revision, position=revision, recorded_at=NOON)
    )


def seeds() -> Iterable[bytes]:
    """A text in pieces, with one lost and one doubled, and a second attempt."""
    pieces = [(1, 0, "Once upon "), (1, 10, "a time"), (1, 4, " upon a time there"), (2, 0, "Tea 🍵"), (1, 22, "late")]
    told = [
        json.dumps({"work": "blog", "run": 1, "attempt": attempt, "offset": offset, "text": text})
        for attempt, offset, text in pieces
    ]
    yield "\n".join(told).encode()
    yield "\n".join([told[0], "!blog 1 2", told[1], told[3]]).encode()
    yield b'{"work": "social:x", "run": 9007199254740992, "attempt": 1, "offset": 0, "text": "\\ud83c"}'
