"""3: every append that was acknowledged stands in the log, there and so; nothing stands there that nobody sent."""

import hashlib
from collections.abc import Iterator

from chaos.checker import telling
from chaos.checker.damage import lost, may_have_moved
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.record import Record, event_id
from chaos.checker.shapes import Append
from chassis.jetstream_log import Entry

RULE = "what was acknowledged is in the log, and nothing else is"


def check(record: Record) -> Finding:
    """The appends as the proxies saw them, held against the log at its end."""
    acked = [one for one in record.appends if one.phase == "acked"]
    violations = [*_lost(record, acked), *_never_sent(record)]
    return finding(3, RULE, violations, acknowledged_appends=len(acked), events=len(record.log))


def _lost(record: Record, acked: list[Append]) -> Iterator[Violation]:
    by_position = {entry.position: entry for entry in record.log}
    forgiven, kept = lost(record), {event_id(entry) for entry in record.log}
    for one in acked:
        if one.ce_id in forgiven or (one.ce_id in kept and may_have_moved(record, one)):
            continue
        found = by_position.get(one.position or 0)
        if found is None:
            wrong = "an acknowledged event is not in the log"
        elif _body_hash(found) != one.sha256 or (one.ce_id and event_id(found) != one.ce_id):
            wrong = "where an event was acknowledged, the log has another one"
        else:
            continue
        sent = [other for other in record.appends if other.ce_id == one.ce_id]
        there = [f"the log: {telling.entry(found)} id {event_id(found)}"] if found else []
        yield Violation(wrong, [*telling.in_order(telling.appends(record, sent)), *there])


def _never_sent(record: Record) -> Iterator[Violation]:
    sent = {(one.subject, one.ce_id, one.sha256) for one in record.appends}
    for entry in record.log:
        if (entry.subject, event_id(entry), _body_hash(entry)) not in sent:
            yield Violation(
                "the log has an event that no writer sent", [f"{telling.entry(entry)} id {event_id(entry)}"]
            )


def _body_hash(entry: Entry) -> str:
    return hashlib.sha256(entry.body).hexdigest()
