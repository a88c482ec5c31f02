"""The disturbances: which of the faults that were fired may have had a call paid for in vain, of which works, and when;
and the blows: what was done to one process itself.

What a fault may cost is said here by its kind, apart from the driver that fires it. A kind that is not known here could
cost anything, so that nothing can be said of a run in which it was fired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chaos.checker.record import CannotBeChecked, Record
from chaos.checker.shapes import Happening
from contracts.services import STAGES
from contracts.works import Work

ACK_WAIT_S = 5.0
"""So long a stage may be silent before its message is given to another process."""

ECHO_S = 30.0
"""A fault is felt for a while: a message that was lost comes again after an ack wait, a process takes seconds to be
back, and the longest retry of a reconnect adds to both."""

NOTHING = frozenset(
    {
        "repeats",
        "log-full",
        "postgres-killed",
        "postgres-slow",
        "postgres-commit",
        "postgres-deadlock",
        "hostile-events",
        "hostile-sockets",
        "two-projectors",
        "s3-down",
        "s3-errors",
        "s3-slow",
        "s3-cut",
        "s3-wrong-bytes",
        "model",
        "model-hangs",
        "model-quota",
        "gateway-killed",
        "live-lost",
        "rebuild",
    }
)
"""Kinds that cost no call: they meet no stage, or what they cost is told in the log as a failed attempt."""

AT_ONCE = frozenset(
    {
        "pull",
        "claim",
        "call",
        "answer",
        "upload",
        "append",
        "append-sent",
        "kills",
        "rolling",
        "new-release",
        "clock",
        "consumer-deleted",
    }
)
"""Kinds that may cost a call in flight when they strike: the process dies, or its deliveries are given to others."""

WHILE_IT_LASTS = frozenset(
    {
        "zombie",
        "nats-after-ack",
        "nats-killed",
        "nats-paused",
        "everything",
        "leader",
        "two-down",
        "node-frozen",
        "partition",
        "rollback",
        "disk-full",
    }
)
"""Kinds that may cost a call at every ack wait that they last: no sign of life gets through."""

TAKES_DELIVERIES = (WHILE_IT_LASTS - {"zombie"}) | {"consumer-deleted"}
"""Kinds by which the log forgets, or does not hear, in whose hands a message is."""

FELT_S = ACK_WAIT_S + 5.0
"""So long behind them: a message that was lost comes again after an ack wait, and a stage looks for the log anew at
intervals of up to some seconds."""

ASKED_TO_GO = frozenset({"rolling", "new-release"})
"""Told of each process at the moment at which it was asked to go; the next one, or the end, when it was replaced."""

RESTARTED = frozenset({"clock"})
"""Told when the process had been replaced: at the beginning, and once more at the end."""

REPLACED_WITHIN_S = 8.0
"""A process ends its calls 3 s after it was asked to go, and goes."""

FROZEN = frozenset({"zombie"})

KNOWN = NOTHING | AT_ONCE | WHILE_IT_LASTS


@dataclass(frozen=True)
class Disturbance:
    """A fault between two moments. `stage`: the only one whose calls it may cost; None: any stage's."""

    happening: Happening
    stage: str | None
    since: float
    until: float

    def takes_away(self, work: Work, since: float, until: float) -> bool:
        """May it have given a message of this work to another process between these moments, though its own lived?"""
        is_of_it = self.happening.kind in TAKES_DELIVERIES and self._is_of(work)
        return is_of_it and self.since <= until and self.until + FELT_S >= since

    def reaches(self, work: Work, at: float) -> bool:
        """Is it felt by the stage of this work at that moment?"""
        return self._is_of(work) and self.since <= at + ECHO_S and self.until + ECHO_S >= at

    def _is_of(self, work: Work) -> bool:
        return self.stage is None or work.kind in STAGES[self.stage]


@dataclass(frozen=True)
class Blow:
    """Something that was done to one process itself, between two moments: it was killed, stopped or asked to go."""

    happening: Happening
    since: float
    until: float

    @property
    def is_a_stop(self) -> bool:
        """Did the process live on afterwards, and know of nothing that had happened meanwhile?"""
        return self.happening.kind in FROZEN


def blows(record: Record) -> Mapping[str, Sequence[Blow]]:
    """What was done to each process, by its name."""
    found: dict[str, list[Blow]] = {}
    for one in record.happened:
        if one.target and _stage(one.target) != one.target and (blow := _blow(one, record.happened)):
            found.setdefault(one.target, []).append(blow)
    return found


def _blow(one: Happening, happened: Sequence[Happening]) -> Blow | None:
    if one.kind in RESTARTED and one.phase in ("fired", "healed"):
        return Blow(one, one.at - REPLACED_WITHIN_S, one.at)
    if one.phase != "fired" or one.kind not in AT_ONCE | FROZEN:
        return None
    later = [each.at for each in happened if each.step == one.step and each.at > one.at]
    if one.kind in ASKED_TO_GO:
        return Blow(one, one.at, min([one.at + REPLACED_WITHIN_S, *later]))
    if one.kind in FROZEN:
        return Blow(one, one.at, max(later, default=one.at))
    return Blow(one, one.at, one.at)


def disturbances(record: Record) -> Sequence[Disturbance]:
    """The faults of a run that may have cost calls. Raises CannotBeChecked for a kind that is not known here."""
    healed = {one.step: one.at for one in record.happened if one.phase == "healed"}
    fired = [one for one in record.happened if one.phase == "fired"]
    if unknown := sorted({one.kind for one in fired} - KNOWN):
        raise CannotBeChecked(f"{unknown[0]} was fired, and the checker does not know what that may cost")
    return [Disturbance(one, _stage(one.target), one.at, _end(one, healed)) for one in fired if one.kind not in NOTHING]


def _end(one: Happening, healed: Mapping[int | None, float]) -> float:
    return max(one.at, healed.get(one.step, one.at)) if one.kind in WHILE_IT_LASTS else one.at


def _stage(target: str | None) -> str | None:
    """The stage of a process as it is named: `writer-1`."""
    name = (target or "").rpartition("-")[0] or (target or "")
    return name if name in STAGES else None
