"""The fourteen invariants of a run, one file each: pure functions from the record to what was found."""

from collections.abc import Callable

from chaos.checker.finding import Finding
from chaos.checker.invariants import (
    appends,
    canaries,
    clients,
    consumers,
    copies,
    counts,
    endings,
    objects,
    paid_calls,
    paths,
    requests,
    resources,
    successes,
    tables,
)
from chaos.checker.record import Record

CHECKS: tuple[Callable[[Record], Finding], ...] = (
    endings.check,
    successes.check,
    appends.check,
    requests.check,
    paths.check,
    tables.check,
    counts.check,
    objects.check,
    paid_calls.check,
    copies.check,
    clients.check,
    resources.check,
    canaries.check,
    consumers.check,
)
"""In the order of their numbers."""
