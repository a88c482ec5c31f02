"""What is found of an invariant: whether it held, how much was looked at, and the smallest history that breaks it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

HISTORY_LINES_MAX = 40
"""More is read in the files; the beginning and the end say the most."""


@dataclass(frozen=True)
class Violation:
    """One way in which the invariant does not hold, and what shows it, a line each."""

    what: str
    history: Sequence[str] = ()


@dataclass(frozen=True)
class Finding:
    """One invariant, or a promise of another kind. `looked_at`: how many there were of each thing that it is about."""

    number: int | str
    rule: str
    looked_at: dict[str, int]
    violations: Sequence[Violation] = field(default=())

    @property
    def is_idle(self) -> bool:
        """Was there nothing that could have broken it?"""
        return not any(self.looked_at.values())

    def words(self) -> list[str]:
        """As people read it."""
        verdict = "BROKEN" if self.violations else "idle" if self.is_idle else "ok"
        seen = ", ".join(f"{number:,} {what}" for what, number in self.looked_at.items())
        head = f"{verdict:<6} {self.number:>2}  {self.rule} ({seen})"
        if not self.violations:
            return [head]
        smallest = min(self.violations, key=lambda one: len(one.history))
        more = len(self.violations) - 1
        return [
            head,
            f"           {smallest.what}",
            *(f"             {line}" for line in _shortened(smallest.history)),
            *([f"           and {more:,} more"] if more else []),
        ]


def finding(number: int | str, rule: str, violations: Iterable[Violation], **looked_at: int) -> Finding:
    """A finding; names of what was looked at may have underscores for spaces."""
    seen = {name.replace("_", " "): count for name, count in looked_at.items()}
    return Finding(number, rule, seen, tuple(violations))


def _shortened(lines: Sequence[str]) -> list[str]:
    if len(lines) <= HISTORY_LINES_MAX:
        return [*lines]
    half = HISTORY_LINES_MAX // 2
    return [*lines[:half], f"… {len(lines) - 2 * half} lines …", *lines[-half:]]
