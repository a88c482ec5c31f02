"""The times that are promised of the log: how long it may give no answer although somebody waits for one.

Judged where nothing else is done to the log meanwhile. What is measured is always told, also where it is short.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from chaos.checker import telling
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.record import Record
from chaos.checker.shapes import Append, Happening

RETURNS = frozenset({"nats-killed", "nats-paused", "nats-after-ack"})
"""The log's server is away, and comes back (fault 10). One of three that goes may be the one that leads (fault 11)."""

LOSSES = frozenset({"leader", "node-frozen", "partition", "two-down"})
"""The log may lose its leader (fault 11): at once, or two of three servers, so that none can be until they are back."""

OF_THE_LOG = RETURNS | LOSSES | {"log-full", "rollback", "disk-full"}
"""What keeps the log from its writers. One may begin while another's time runs; then that time is not judged."""

GOES_ON_WITHIN_S = 3.0
STALL_MAX_S = 12.0

LOAD_S = 1.0
"""Granted on top, for a run's machine: up to twenty processes share its cores, and a process that has an answer in its
hands was seen to act on it up to a second later."""

TRIES_AGAIN_WITHIN_S = 15.0
"""Whoever was not answered, or refused for want of a server, tries again after a budget of 12 s and a pause of 2 s at
the latest; else it has gone."""

STALE = "10071"
"""The log's answer to an append behind a revision that is not the last any more: an answer like any other."""


def check_returns(record: Record) -> Finding:
    """Fault 10: the first answer behind each return of the log's server."""
    appends = _Appends(record)
    returns = [] if record.plan.nodes > 1 else _phase(record, "healed", RETURNS)
    waits = [(one, wait) for one in returns if (wait := appends.first_wait(one.at))]
    return _judged(record, "F10", "the log goes on within {} s of its server's return", GOES_ON_WITHIN_S, waits)


def check_losses(record: Record) -> Finding:
    """Fault 11: the longest time without an answer behind each loss of a leader."""
    appends = _Appends(record)
    waits = [(one, wait) for one in _losses(record) if (wait := appends.longest_wait(one.at, _end(record, one)))]
    return _judged(record, "F11", "a lost leader stalls the log for at most {} s", STALL_MAX_S, waits)


@dataclass(frozen=True)
class Wait:
    """So long somebody waited, and nobody was answered; between which moments."""

    seconds: float
    since: float
    until: float


@dataclass(frozen=True)
class _Appends:
    """The appends of a run as times: when somebody waited for the log, and when it answered."""

    record: Record

    @cached_property
    def _answers(self) -> Sequence[float]:
        return sorted(one.at for one in self.record.appends if _is_answer(one))

    @cached_property
    def _last(self) -> float:
        return max((one.at for one in (*self.record.appends, *self.record.happened)), default=0.0)

    @cached_property
    def _under_way(self) -> Sequence[tuple[float, float]]:
        """From the first time that an event was sent until the log answered, or until nobody tried any more."""
        waits: list[tuple[float, float]] = []
        open_since: dict[str, tuple[float, Append]] = {}
        for one in sorted(self.record.appends, key=lambda append: append.at):
            since, before = open_since.pop(one.subject, (one.at, one))
            if one.at - before.at > TRIES_AGAIN_WITHIN_S and before.phase != "sent":
                waits.append((since, before.at))
                since = one.at
            if _is_answer(one):
                waits.append((since, one.at))
            else:
                open_since[one.subject] = since, one
        left = [(since, self._last if last.phase == "sent" else last.at) for since, last in open_since.values()]
        return sorted([*waits, *left])

    def first_wait(self, since: float) -> Wait | None:
        """Until the first answer behind this moment. None where another fault of the log comes first, in good time."""
        ends = [at for at in self._answers if at >= since][:1] or [self._last]
        following = [one.at for one in _phase(self.record, "fired", OF_THE_LOG) if since < one.at < ends[0]]
        until = min([*ends, *following])
        wait = Wait(self._waited(since, until), since, until)
        return None if following and wait.seconds <= GOES_ON_WITHIN_S else wait

    def longest_wait(self, since: float, until: float) -> Wait | None:
        """Between two answers, or between one and an end of this time."""
        answers = [since, *(at for at in self._answers if since < at < until), until]
        waits = [Wait(self._waited(before, after), before, after) for before, after in pairwise(answers)]
        return max(waits, key=lambda wait: wait.seconds, default=None)

    def _waited(self, since: float, until: float) -> float:
        """How much of this time somebody waited."""
        told, seconds = since, 0.0
        for began, ended in self._under_way:
            began, ended = max(began, told), min(ended, until)  # noqa: PLW2901
            if ended > began:
                seconds, told = seconds + ended - began, ended
        return seconds


def _judged(record: Record, number: str, rule: str, bound: float, waits: Sequence[tuple[Happening, Wait]]) -> Finding:
    longest = max((wait.seconds for _, wait in waits), default=0.0)
    told = f"{rule.format(f'{bound:g}')}, and {LOAD_S:g} s for the machine's load: at most {longest:.2f} s"
    violations = [
        Violation(
            f"{wait.seconds:.2f} s without an answer behind {one.kind}, although somebody waited",
            telling.in_order(telling.faults(record, [one]), telling.appends(record, _between(record, wait))),
        )
        for one, wait in waits
        if wait.seconds > bound + LOAD_S
    ]
    return finding(number, told, violations, times=len(waits))


def _between(record: Record, wait: Wait) -> list[Append]:
    return [one for one in record.appends if wait.since <= one.at <= wait.until]


def _losses(record: Record) -> Iterator[Happening]:
    """Of two servers the moment at which they are back, of one that at which it goes."""
    for kind in sorted(LOSSES | RETURNS if record.plan.nodes > 1 else LOSSES):
        yield from _phase(record, "healed" if kind == "two-down" else "fired", {kind})


def _end(record: Record, one: Happening) -> float:
    """Until twice as long behind the fault as a stall may last, so that a longer one shows; or until the next one."""
    healed = max((each.at for each in record.happened if each.step == one.step), default=one.at)
    following = [each.at for each in _phase(record, "fired", OF_THE_LOG) if each.at > one.at and each.step != one.step]
    return min([healed + 2 * (STALL_MAX_S + LOAD_S), *following])


def _phase(record: Record, phase: str, kinds: "frozenset[str] | set[str]") -> list[Happening]:
    return [one for one in record.happened if one.phase == phase and one.kind in kinds]


def _is_answer(one: Append) -> bool:
    return one.phase == "acked" or (one.phase == "refused" and STALE in str(one.error))
