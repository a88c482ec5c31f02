"""The targets: each a function that takes any bytes and raises only where a property does not hold; and its seeds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fuzz.targets import citations, cursors, deltas, events, frames, subjects


@dataclass(frozen=True)
class Target:
    """One target. `attempt` takes any bytes; `seeds` are examples from which others are made."""

    name: str
    says: str
    attempt: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("first-frames", "the first frame of a websocket, in both dialects", frames.first, frames.first_seeds),
        Target("further-frames", "what a client sends later", frames.further, frames.further_seeds),
        Target("events", "messages of the log: subject, headers, body", events.attempt, events.seeds),
        Target("subjects", "subjects of the log and of live messages", subjects.attempt, subjects.seeds),
        Target("deltas", "pieces of unfinished texts, lost and doubled", deltas.attempt, deltas.seeds),
        Target("cursors", "cursors of pages, and Last-Event-ID", cursors.attempt, cursors.seeds),
        Target("citations", "texts of a model, with marks and links", citations.attempt, citations.seeds),
    )
}
"""All of them, by name."""
