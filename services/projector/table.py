"""A read table, declared: its rows, its key, and the handlers that say what each event means for it.

Handlers are pure and speak of rows, not of SQL. One that brings new rows is given the event; one that changes a row is
given the row so far as well. Facts cannot be refused: a handler interprets, it does not validate.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar, get_type_hints

from contracts.envelope import Recorded
from contracts.events import Event

R = TypeVar("R")
E = TypeVar("E", bound=Event)

Json = Any
"""A column of jsonb: what `json` can write."""

COLUMN_TYPES: Mapping[object, str] = {
    str: "text",
    str | None: "text",
    int: "bigint",
    bool: "boolean",
    datetime: "timestamptz",
    datetime | None: "timestamptz",
    Json: "jsonb",
}


class Table(Generic[R]):
    """One read table. Its columns are the fields of the row; its SQL stands beside the module that declares it."""

    def __init__(self, name: str, row: type[R], *, key: tuple[str, ...]) -> None:
        self.name, self.row, self.key = name, row, key
        self._makers: dict[type[Event], Callable[[Recorded[Any]], Iterable[R]]] = {}
        self._changers: dict[type[Event], Callable[[Recorded[Any], R], R]] = {}
        self._file = Path(inspect.stack()[1].filename)

    def on(
        self, event: type[E]
    ) -> Callable[[Callable[[Recorded[E]], Iterable[R]]], Callable[[Recorded[E]], Iterable[R]]]:
        """Registers what new rows such an event brings."""

        def register(maker: Callable[[Recorded[E]], Iterable[R]]) -> Callable[[Recorded[E]], Iterable[R]]:
            self._makers[event] = maker
            return maker

        return register

    def changed_on(
        self, *events: type[Event]
    ) -> Callable[[Callable[[Recorded[Any], R], R]], Callable[[Recorded[Any], R], R]]:
        """Registers how such events change the workflow's row. For tables with one row a workflow."""

        def register(changer: Callable[[Recorded[Any], R], R]) -> Callable[[Recorded[Any], R], R]:
            self._changers.update(dict.fromkeys(events, changer))
            return changer

        return register

    @property
    def is_changed(self) -> bool:
        """Do events change rows of this table? Then the row so far is read before."""
        return bool(self._changers)

    def rows(self, recorded: Recorded[Event], so_far: R | None) -> Iterable[R]:
        """The rows that stand in the table because of this event. `so_far`: the workflow's row, where it has one."""
        kind = type(recorded.event)
        if kind in self._makers:
            return self._makers[kind](recorded)
        if kind in self._changers and so_far is not None:
            return (self._changers[kind](recorded, so_far),)
        return ()

    def key_of(self, row: R) -> tuple[object, ...]:
        """What tells this row from the others."""
        return tuple(getattr(row, name) for name in self.key)

    @cached_property
    def columns(self) -> Mapping[str, str]:
        """The columns in order, with their types in Postgres."""
        hints = get_type_hints(self.row)
        return {field.name: COLUMN_TYPES[hints[field.name]] for field in dataclasses.fields(self.row)}  # pyright: ignore[reportArgumentType]

    @cached_property
    def sql(self) -> str:
        """What makes the table and its indexes, in whichever schema is current."""
        return self._file.with_suffix(".sql").read_text()
