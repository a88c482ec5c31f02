"""The bounds of two faults: clients that misbehave (20), and a gateway that is killed (21).

Sockets of clients that misbehave are closed within the gateway's bounds, and who has lost a gateway is back in time.
That the former meet nobody else is what the other lines say, of what all other clients asked and were told meanwhile.
"""

from pydantic import BaseModel, ValidationError

from chaos.checker import telling
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.record import CannotBeChecked, Record
from chaos.checker.shapes import Happening, Said
from chaos.checker.times import OF_THE_LOG
from contracts.services import GATEWAY

LET_GO = "clients that misbehave are let go within their bounds"
BACK = "whoever has lost its gateway is back within its bound"

MISBEHAVE, KILLED = "hostile-sockets", "gateway-killed"

ALLOWED_S = 5.0
"""More than the bound: the machine is full of processes."""

ECHO_S = 10.0
"""A fault is felt for a while: a process takes seconds to be back, and its clients come again after that."""


class Bound(BaseModel):
    """What took how long, and how long it may take."""

    what: str
    bound_s: float
    took_s: float
    needs_log: bool
    """Whether it has to wait while the log is away; all of it has to where the gateway itself goes."""


def check_let_go(record: Record) -> Finding:
    """Each socket of a client that misbehaves."""
    return _judged(record, "F20", LET_GO, MISBEHAVE)


def check_back(record: Record) -> Finding:
    """All who were attached to a gateway that was killed."""
    return _judged(record, "F21", BACK, KILLED)


def _judged(record: Record, number: str, rule: str, kind: str) -> Finding:
    """Each thing that has a bound, unless another fault has met the gateway meanwhile."""
    told = [one for one in record.clients if one.op == "bound" and one.client.rpartition("-")[0] == kind]
    noted = [(one, _bound(one)) for one in told]
    judged = [(one, bound) for one, bound in noted if not _is_met(record, one, bound)]
    violations = [
        Violation(_words(one, bound), telling.in_order(telling.faults(record, _around(record, one, bound))))
        for one, bound in judged
        if one.phase != "ok" or bound.took_s > bound.bound_s + ALLOWED_S
    ]
    return finding(number, rule, violations, bounds=len(judged), met_by_another_fault=len(noted) - len(judged))


def _bound(one: Said) -> Bound:
    """Raises CannotBeChecked."""
    try:
        return Bound.model_validate(one.data)
    except ValidationError as wrong:
        raise CannotBeChecked("clients.jsonl: a bound is not told well") from wrong


def _words(one: Said, bound: Bound) -> str:
    told = "after" if one.phase == "ok" else "not even after"
    return f"{bound.what}: {told} {bound.took_s:.1f} s; {bound.bound_s:g} s are the most"


def _is_met(record: Record, one: Said, bound: Bound) -> bool:
    """Whether another fault may have kept the gateway from it."""
    return any(
        f"{other.kind}-{other.step}" != one.client
        and (_is_of_a_gateway(other) or (bound.needs_log and other.kind in OF_THE_LOG))
        for other in _around(record, one, bound)
    )


def _is_of_a_gateway(other: Happening) -> bool:
    """Of a process, that is, and not of what comes to it."""
    return (other.target or "").startswith(f"{GATEWAY}-")


def _around(record: Record, one: Said, bound: Bound) -> list[Happening]:
    """What was done to the system while it was to happen, or so shortly before that whoever needs the log felt it."""
    began = one.at - bound.took_s - (ECHO_S if bound.needs_log else 0)
    healed = {other.step: other.at for other in record.happened if other.phase == "healed"}
    return [
        other
        for other in record.happened
        if other.phase in ("fired", "healed")
        and other.at <= one.at
        and (other.at if _is_of_a_gateway(other) else healed.get(other.step, other.at)) >= began
    ]
