"""Upcasters: turn an event's old shape into today's when it is read. Only this file knows the past.

To change an event: raise its `version` in contracts/events.py, write here a function from the old body to the next one,

    @upcasts("research-completed", 1)
    def research_completed_v1_v2(body: Body) -> Body:
        return {**body, "notes": body.get("notes", "")}

and add a golden file of the new shape. The old golden file stays: it holds this function to what was really stored.
"""

from collections.abc import Callable, Mapping
from typing import Any

Body = Mapping[str, Any]
Upcaster = Callable[[Body], Body]
Upcasters = dict[tuple[str, int], Upcaster]

UPCASTERS: Upcasters = {}
"""By event type and the version they start from. Each leads to the next version."""


def upcasts(event_type: str, version: int, *, registry: Upcasters = UPCASTERS) -> Callable[[Upcaster], Upcaster]:
    """Registers a function from this version's body to the next version's."""

    def register(upcaster: Upcaster) -> Upcaster:
        if (event_type, version) in registry:
            raise ValueError(f"{event_type} v{version} has an upcaster already")
        registry[event_type, version] = upcaster
        return upcaster

    return register


def upcast(event_type: str, body: Body, *, registry: Mapping[tuple[str, int], Upcaster] = UPCASTERS) -> Body:
    """The body in the newest shape that the registry leads to; one that is new already is returned as it is."""
    version = body.get("version")
    while isinstance(version, int) and (event_type, version) in registry:
        version += 1
        body = {**registry[event_type, version - 1](body), "version": version}
    return body
