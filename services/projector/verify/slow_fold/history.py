"""A workflow's history, the questions that the slow fold asks it, and the rows with which it answers."""

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from contracts.envelope import Recorded
from contracts.events import Event

Row = dict[str, Any]
"""One row: its columns by name, as Postgres gives them back. Generated columns are left out."""

History = Sequence[Recorded[Event]]
"""One workflow's events in order, from its request on, without a gap."""

E = TypeVar("E", bound=Event)


def every(history: Sequence[Recorded[Any]], *kinds: type[E]) -> list[Recorded[E]]:
    """Every event of these kinds, in order."""
    return [cast("Recorded[E]", one) for one in history if isinstance(one.event, kinds)]


def last(history: History, *kinds: type[E]) -> Recorded[E] | None:
    """The last event of these kinds."""
    return next(reversed(every(history, *kinds)), None)


def after(this: Recorded[Any], history: Sequence[Recorded[E]]) -> list[Recorded[E]]:
    """Every event that came later than this one."""
    return [one for one in history if one.revision > this.revision]
