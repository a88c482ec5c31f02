"""The report: what was compared, what differs, and both in words for people."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from services.projector.verify.books import Books, Hold
from services.projector.verify.slow_fold.rows import KEYS
from services.projector.verify.wording import count, line, name

DIFFERENCES_MAX = 10_000
"""Kept of one check; what comes behind is only counted."""

LINES_MAX = 50
"""Printed of a list: whoever needs more has to mend something first."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not as the log has it."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass
class Report:
    """What was compared, and what came out."""

    books: Books
    events: int = 0
    workflows: int = 0
    rows: Counter[str] = field(default_factory=Counter[str])
    differences: list[Difference] = field(default_factory=list[Difference])
    not_kept: int = 0

    @property
    def differences_count(self) -> int:
        """How many there are, those that are not kept included."""
        return len(self.differences) + self.not_kept

    def differ(self, where: str, what: str) -> None:
        """Notes a difference."""
        if len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(Difference(where, what))
        else:
            self.not_kept += 1


def words(report: Report) -> Iterator[str]:
    """The report, line by line."""
    books = report.books
    yield f"Compared the read tables, generation {books.generation}, with the log up to position {books.position:,}:"
    yield f"  {count(report.events, 'event')}, beside the copies in the archive"
    yield f"  {count(report.workflows, 'workflow')}"
    yield from (f"  {count(report.rows[table], 'row')} of {table}" for table in KEYS)
    if books.quarantine:
        holds = [f"  {name(key)} {_told_hold(hold)}" for key, hold in books.quarantine.items()]
        yield f"Held: {count(len(holds), 'workflow')}."
        yield from _listed(holds, of=len(holds))
    if report.differences:
        yield f"Different: {count(report.differences_count, 'thing')}."
        yield from _listed([f"  {one}" for one in report.differences], of=report.differences_count)
    else:
        yield "No difference: they say what the log says."


def _told_hold(hold: Hold) -> str:
    return f"from position {hold.position} on, {count(hold.events, 'event')}: {line(hold.error)}"


def _listed(lines: Sequence[str], *, of: int) -> Iterator[str]:
    yield from lines[:LINES_MAX]
    if of > LINES_MAX:
        yield f"  … and {of - LINES_MAX:,} more"
