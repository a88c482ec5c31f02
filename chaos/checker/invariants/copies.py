"""10: the log is whole, on every replica, and still the same log; the archive holds each of its events once, and so."""

from collections import Counter
from collections.abc import Iterator, Sequence

from chaos.checker import telling
from chaos.checker.damage import unnoticed
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.record import Record
from chassis.jetstream_log import Entry
from services.projector.archive import digest

RULE = "the log is whole on every replica, and the archive is its copy"


def check(record: Record) -> Finding:
    """Positions, epochs and hashes."""
    violations = [
        *_holes("the log", record.log),
        *(wrong for name, log in record.replicas.items() for wrong in _replica(name, log, record.log)),
        *_states(record),
        *_epochs(record),
        *_archive(record),
        *_unnoticed(record),
    ]
    return finding(
        10,
        RULE,
        violations,
        events=len(record.log),
        replicas=max(1, len(record.replicas)),
        archived=len(record.archive),
    )


def _unnoticed(record: Record) -> Iterator[Violation]:
    for one in unnoticed(record):
        yield Violation(
            "the log was damaged, and no projector said so", telling.in_order(telling.faults(record, [one]))
        )


def _holes(name: str, log: Sequence[Entry]) -> Iterator[Violation]:
    for wanted, entry in enumerate(log, start=1):
        if entry.position != wanted:
            yield Violation(f"{name} lacks position {wanted}", [telling.entry(entry)])
            return


def _replica(name: str, log: Sequence[Entry], whole: Sequence[Entry]) -> Iterator[Violation]:
    yield from _holes(name, log)
    if len(log) != len(whole):
        yield Violation(f"{name} holds {len(log)} events, the log {len(whole)}")
    for one, other in zip(log, whole, strict=False):
        if one.position == other.position and digest(one) != digest(other):
            yield Violation(f"{name} has another event at {one.position}", [telling.entry(one), telling.entry(other)])


def _states(record: Record) -> Iterator[Violation]:
    last = max((entry.position for entry in record.log), default=0)
    for name, state in record.log_states.items():
        if (state.first, state.last, state.count) != (1, last, last):
            told = f"reaches from {state.first} to {state.last} and holds {state.count}"
            yield Violation(f"{name} {told}; the log has {last} events")


def _epochs(record: Record) -> Iterator[Violation]:
    """Each moment at which the log's own id was seen: it is one and the same."""
    seen = [(f"{one.at - record.began_at:8.3f} s  the checkpoint", one.epoch) for one in record.checkpoints]
    seen += [("the checkpoint in the end", record.checkpoint.epoch)]
    seen += [(f"{name} in the end", state.epoch) for name, state in record.log_states.items()]
    epochs = list(dict.fromkeys(epoch for _, epoch in seen))
    if len(epochs) > 1:
        first = [next(f"{what} is of {epoch}" for what, epoch in seen if epoch == wanted) for wanted in epochs]
        yield Violation(f"{len(epochs)} logs were seen, and there is one", first)


def _archive(record: Record) -> Iterator[Violation]:
    held = Counter(entry.position for entry, _ in record.archive)
    for position, count in held.items():
        if count > 1:
            yield Violation(f"the archive holds position {position} {count} times")
    archived = {entry.position: (entry, told) for entry, told in record.archive}
    for entry in record.log:
        found = archived.pop(entry.position, None)
        if found is None:
            yield Violation(f"the archive lacks position {entry.position}", [telling.entry(entry)])
        elif digest(entry) != digest(found[0]) or digest(entry).hex() != found[1]:
            lines = [f"the log:     {telling.entry(entry)}", f"the archive: {telling.entry(found[0])}"]
            yield Violation(f"the archive has another event at position {entry.position}", lines)
    for entry, _ in archived.values():
        yield Violation(f"the archive has position {entry.position}, the log does not", [telling.entry(entry)])
