"""Damage to the log itself: what may be lost with it, and whether a projector noticed.

A log that is put back to an older copy has truly lost what was acknowledged in the last moments before, and was not in
the archive yet. What was appended between the damage and its restore may stand at another position behind it, or be set
aside where its history is no longer legal. That, and nothing else, is forgiven.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from chaos.checker.record import Record, event_id
from chaos.checker.shapes import Append, Happening

DAMAGE = "rollback"

ARCHIVED_WITHIN_S = 2.0
"""An event is archived milliseconds after it was stored; a projector that was just killed needs a little longer."""

NOTICED_WITHIN_S = 75.0
"""Sixty seconds are promised; the server has to be up again before."""

HELD_UP = "projection held up"
DOUBT = re.compile(r"\bthe log('s event| ends| has| is )|\bthis log \(")
"""Not merely that a server is away for a moment."""


def damages(record: Record) -> list[Happening]:
    """The moments at which the log's store was damaged."""
    return [one for one in record.happened if one.kind == DAMAGE and one.phase == "fired"]


def lost(record: Record) -> dict[str, Append]:
    """The acknowledged events that the log does not hold any more, and need not: by their ids."""
    if not damages(record):
        return {}
    kept = {event_id(entry) for entry in record.log} | {event_id(entry) for entry, _ in record.archive}
    aside = {event_id(entry) for entry in record.set_aside}
    return {
        one.ce_id: one
        for one in record.appends
        if one.phase == "acked"
        and one.ce_id
        and one.ce_id not in kept
        and (one.ce_id in aside or _was_not_archived(record, one))
    }


def may_have_moved(record: Record, append: Append) -> bool:
    """Was it acknowledged so shortly before a damage that it may not have been archived, or before that was mended?"""
    healed = {one.step: one.at for one in record.happened if one.kind == DAMAGE and one.phase == "healed"}
    return any(
        one.at - ARCHIVED_WITHIN_S <= append.at <= healed.get(one.step, one.at + ARCHIVED_WITHIN_S)
        for one in damages(record)
    )


def _was_not_archived(record: Record, append: Append) -> bool:
    return any(abs(append.at - one.at) <= ARCHIVED_WITHIN_S for one in damages(record))


def lost_workflows(record: Record) -> set[str]:
    """The workflows whose very request was lost."""
    return {one.subject.split(".")[2] for one in lost(record).values() if ".workflow-requested." in one.subject}


def unnoticed(record: Record) -> Iterator[Happening]:
    """The damages behind which no projector said in time that it is held up."""
    said = [*_held_up(record)]
    for one in damages(record):
        if not any(one.at <= at <= one.at + NOTICED_WITHIN_S for at in said):
            yield one


def _held_up(record: Record) -> Iterator[float]:
    """When projectors said so, by their own log files."""
    for text in record.texts:
        for line in text.text.splitlines() if "projector" in text.name else ():
            if HELD_UP in line and DOUBT.search(line):
                with suppress(ValueError, KeyError):  # what else stands in a log file is none of ours
                    yield datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp()
