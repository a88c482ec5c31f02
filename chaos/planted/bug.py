"""A planted bug: what it is, where it lives, which faults bring it to light, and which invariant has to break."""

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


class Patch:
    """Replaces what exists, and nothing else; can take it all back."""

    def __init__(self) -> None:
        self.undo: list[Callable[[], None]] = []

    def replace(self, owner: Any, name: str, by: Callable[[Any], Any]) -> None:
        """Puts `by(what was there)` in the place of an attribute. Raises AttributeError where there is none."""
        was = getattr(owner, name)
        self.undo.insert(0, lambda: setattr(owner, name, was))
        setattr(owner, name, by(was))

    def put(self, mapping: Mapping[Any, Any], key: Any, value: Any) -> None:
        """Puts a value in the place of another in a mapping. Raises KeyError where there is none."""
        if not isinstance(mapping, MutableMapping):
            raise TypeError("this mapping cannot be changed")
        changed: MutableMapping[Any, Any] = mapping
        was = changed[key]
        self.undo.insert(0, lambda: changed.__setitem__(key, was))
        changed[key] = value

    def take_back(self) -> None:
        """All is as it was."""
        for undo in self.undo:
            undo()
        self.undo.clear()


@dataclass(frozen=True)
class Bug:
    """One rule taken out.

    `services`: whose processes have it. `breaks`: the invariants of which one has to break. `place`: the function here
    that plants it. `faults`: the kinds that provoke it. `workflows`: how many it takes.
    """

    name: str
    says: str
    services: tuple[str, ...]
    breaks: tuple[int, ...]
    place: str
    faults: tuple[str, ...] = ("repeats",)
    """Where nothing has to happen for it: the gentlest kind."""
    workflows: int = 6

    def plant(self, patch: Patch) -> None:
        """Plants it in this process. What it needs is imported only now: no service imports another one's code."""
        module, _, function = self.place.partition(".")
        getattr(import_module(f"chaos.planted.{module}"), function)(patch)
