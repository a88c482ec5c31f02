"""8: every picture that the log tells of exists, and its own bytes say what the log says, also to who asks for it."""

import re
from collections.abc import Iterator

from chaos.checker import telling
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.record import Record
from chaos.checker.shapes import Object
from contracts.envelope import Recorded
from contracts.events import Event, IllustrationDrawn

RULE = "every picture exists, with the hash, type and measures that the log names"

PICTURE = re.compile(r"/images/([0-9a-f]{64})")
"""Where a client asks for it."""


def check(record: Record) -> Finding:
    """Each illustration, and the object under its key."""
    objects = {one.key: one for one in record.objects}
    drawn = [
        (one, one.event)
        for story in record.stories.values()
        for one in story.recorded
        if isinstance(one.event, IllustrationDrawn)
    ]
    violations = [
        Violation(f"{event.key}: {what}", telling.in_order(telling.events(record, [one])))
        for one, event in drawn
        for what in _wrong(one, event, objects.get(event.key))
    ]
    reads = [one for one in record.clients if one.phase == "ok" and PICTURE.fullmatch(one.path or "")]
    violations += [
        Violation(f"{one.path} was served with other bytes", telling.in_order(telling.clients(record, [one])))
        for one in reads
        if one.path != f"/images/{one.body_sha256}"
    ]
    return finding(8, RULE, violations, pictures=len(drawn), objects=len(objects), served=len(reads))


def _wrong(one: Recorded[Event], event: IllustrationDrawn, found: Object | None) -> Iterator[str]:
    if found is None:
        yield "there is no such object"
        return
    if event.sha256 not in event.key or one.key.workflow_id not in event.key:
        yield "the key names another picture or workflow"
    told = {
        "sha256": (found.sha256, event.sha256),
        "size": (found.size, event.bytes),
        "content type": (found.content_type, event.content_type),
        "width": (found.width, event.width),
        "height": (found.height, event.height),
    }
    yield from (f"its {name} is {is_}, the log says {says}" for name, (is_, says) in told.items() if is_ != says)
