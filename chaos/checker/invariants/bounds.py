"""12, told a second time: what has a stated bound keeps it, also where somebody misbehaves or a gateway dies.

Sockets of clients that misbehave are closed within the gateway's bounds, and who has lost a gateway is back in time.
That the former meet nobody else is what the other lines say, of what all other clients asked and were told meanwhile.
"""

from collections.abc import Iterator

from pydantic import BaseModel, ValidationError

from chaos.checker import telling
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.record import CannotBeChecked, Record
from chaos.checker.shapes import Happening, Said
from contracts.services import GATEWAY

RULE = "what has a stated bound keeps it"

ALLOWED_S = 5.0
"""More than the bound: the machine is full of processes."""

ECHO_S = 10.0
"""A fault is felt for a while: a process takes seconds to be back, and its clients come again after that."""

FELT_BY_ALL = frozenset(
    {
        "nats-after-ack",
        "nats-killed",
        "nats-paused",
        "log-full",
        "leader",
        "two-down",
        "node-frozen",
        "partition",
        "rollback",
        "disk-full",
        "rolling",
        "new-release",
    }
)
"""Kinds that keep the gateway itself from its work, or take the log away from it."""


class Bound(BaseModel):
    """What took how long, and how long it may take."""

    what: str
    bound_s: float
    took_s: float


def check(record: Record) -> Finding:
    """Each thing that has a bound, unless another fault has met the gateway meanwhile."""
    noted = [(one, _bound(one)) for one in record.clients if one.op == "bound"]
    judged = [(one, bound) for one, bound in noted if not any(_met(record, one, bound))]
    violations = [
        Violation(_words(one, bound), telling.in_order(telling.faults(record, _around(record, one, bound))))
        for one, bound in judged
        if one.phase != "ok" or bound.took_s > bound.bound_s + ALLOWED_S
    ]
    return finding(12, RULE, violations, bounds=len(judged), met_by_another_fault=len(noted) - len(judged))


def _bound(one: Said) -> Bound:
    """Raises CannotBeChecked."""
    try:
        return Bound.model_validate(one.data)
    except ValidationError as wrong:
        raise CannotBeChecked("clients.jsonl: a bound is not told well") from wrong


def _words(one: Said, bound: Bound) -> str:
    told = "after" if one.phase == "ok" else "not even after"
    return f"{bound.what}: {told} {bound.took_s:.1f} s; {bound.bound_s:g} s are the most"


def _met(record: Record, one: Said, bound: Bound) -> Iterator[bool]:
    """Whether each of the others that were fired meanwhile may have kept the gateway from it."""
    for other in _around(record, one, bound):
        name = (other.target or "").rpartition("-")[0] or other.target
        yield f"{other.kind}-{other.step}" != one.client and (name == GATEWAY or other.kind in FELT_BY_ALL)


def _around(record: Record, one: Said, bound: Bound) -> list[Happening]:
    """What was done to the system while it was to happen, or so shortly before that it was still felt."""
    healed = {other.step: other.at for other in record.happened if other.phase == "healed"}
    began = one.at - bound.took_s
    return [
        other
        for other in record.happened
        if other.phase == "fired" and other.at <= one.at and healed.get(other.step, other.at) + ECHO_S >= began
    ]
