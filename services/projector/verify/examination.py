"""The examination: two passes over the log, beside one snapshot of the database, up to where the live tables stand.

1. Every message in order, beside its copy in the archive; the workflows are counted on the way.
2. Every workflow's history, told by the slow fold, beside its rows; then the rows of workflows that nobody knows.

What is kept in memory grows with the number of workflows, not with what they contain.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from asyncpg.exceptions import UndefinedTableError

from chassis.database import DatabaseNotSetUp
from chassis.jetstream_log import Entry, JetStreamLog
from contracts.subjects import WorkflowKey, whose
from services.projector.verify.books import counter_differences, quarantine_differences, readable
from services.projector.verify.comparing import archive_differences, row_differences
from services.projector.verify.log_reader import LogReader, Span
from services.projector.verify.report import DIFFERENCES_MAX, Difference, Report
from services.projector.verify.slow_fold.history import Row
from services.projector.verify.slow_fold.rows import KEYS, rows_of
from services.projector.verify.snapshot import CannotBeChecked, Snapshot, snapshot_of
from services.projector.verify.wording import name, stretches

if TYPE_CHECKING:
    from chassis.database import Connection as Database

Told = Callable[[str, int, int], None]
"""Is told what is being compared, how much of it is done, and how much there is."""


def _nobody(what: str, done: int, total: int) -> None:
    """Listens to no progress."""


async def verify(log: JetStreamLog, connection: "Database", *, told: Told = _nobody) -> list[Difference]:
    """Every difference between the log and what was made of it, none where all is well. Raises as `examine` does."""
    return (await examine(log, connection, told=told)).differences


async def examine(log: JetStreamLog, connection: "Database", *, told: Told = _nobody) -> Report:
    """Compares the log with the archive and with the live tables, in one snapshot of the database.

    Raises CannotBeChecked, StoreUnavailable, DatabaseUnavailable.
    """
    async with snapshot_of(connection) as snapshot:
        try:
            return await _Examination(log, snapshot, told).run()
        except DatabaseNotSetUp as gone:
            if not isinstance(gone.__cause__, UndefinedTableError):
                raise
            raise CannotBeChecked("A rebuild swapped the tables while they were read; run it again.") from gone


class _Examination:
    """One check, from its first read to its report."""

    def __init__(self, log: JetStreamLog, snapshot: Snapshot, told: Told) -> None:
        self._log, self._snapshot, self._told = log, snapshot, told
        self._books = snapshot.books
        self._report = Report(self._books)
        self._known = Counter[WorkflowKey]()  # with how many events the first pass saw each

    async def run(self) -> Report:
        epoch = await self._log.epoch()
        if epoch != self._books.epoch:  # nothing else can agree then, and each event would be a difference
            self._report.differ("checkpoint", f"was built from the log {self._books.epoch}; this log is {epoch}")
            return self._report
        reader = LogReader(self._log, self._books.position, await self._log.end())
        await self._compare_log_with_archive(reader)
        await self._compare_workflows(reader)
        await self._look_for_strangers()
        for what in counter_differences(self._books):
            self._report.differ("checkpoint", what)
        return self._report

    # ------------------------------------------------------------ the log and the archive

    async def _compare_log_with_archive(self, reader: LogReader) -> None:
        position = self._books.position
        if reader.end < position:
            self._report.differ("log", f"ends at position {reader.end}, before the checkpoint at {position}")
        async for span in reader.spans():
            self._compare_span(span, await self._snapshot.archived(span.positions), reader.end)
            self._known.update(whose(entry.subject) for entry in span.entries.values())
            self._told("events", span.positions[-1], position)
        self._report.workflows = len(self._known)
        for stretch in stretches(await self._snapshot.archived_beyond(most=DIFFERENCES_MAX)):
            self._report.differ("archive", f"holds {stretch}, which the tables do not contain")

    def _compare_span(self, span: Span, archived: Mapping[int, Row], end: int) -> None:
        self._miss("log", [one for one in span.positions if one <= end and one not in span.entries])
        self._miss("archive", [one for one in span.positions if one not in archived])
        for position, entry in span.entries.items():
            wrong = archive_differences(entry, archived[position]) if position in archived else []
            if wrong:
                self._report.differ(f"archive position {position}", f"not as in the log: {', '.join(wrong)}")
        self._report.events += len(span.entries)

    def _miss(self, where: str, positions: Sequence[int]) -> None:
        for stretch in stretches(positions):
            self._report.differ(where, f"holds nothing at {stretch}")

    # ------------------------------------------------------------ the workflows and their rows

    async def _compare_workflows(self, reader: LogReader) -> None:
        done = 0
        async for histories in reader.histories(self._known, told=partial(self._told, "events once more")):
            rows = {table: await self._snapshot.rows(table, list(histories)) for table in KEYS}
            for key, entries in histories.items():
                self._compare_workflow(key, entries, {table: rows[table].get(key, []) for table in KEYS})
            done += len(histories)
            self._told("workflows", done, len(self._known))

    def _compare_workflow(self, key: WorkflowKey, entries: Sequence[Entry], found: Mapping[str, list[Row]]) -> None:
        for table, rows in found.items():
            self._report.rows[table] += len(rows)
        if len(entries) != self._known[key]:
            what = f"its history has {len(entries)} events, the log {self._known[key]}"
            self._report.differ(f"log {name(key)}", what)
            return
        history, unfit = readable(entries)
        hold = self._books.quarantine.get(key)
        for what in quarantine_differences(entries, unfit, hold):
            self._report.differ(f"quarantine {name(key)}", what)
        expected = rows_of([one for one in history if hold is None or one.position < hold.position])
        for table in KEYS:
            for row, what in row_differences(table, expected[table], found[table]):
                self._report.differ(f"{table} {name(key)}{row}", what)

    async def _look_for_strangers(self) -> None:
        """Rows of workflows that the log does not know."""
        for done, table in enumerate(KEYS, start=1):
            async for key in self._snapshot.keys(table):
                if key not in self._known:
                    self._report.differ(f"{table} {name(key)}", "the log knows no such workflow")
            self._told("tables", done, len(KEYS))
        for key in self._books.quarantine.keys() - self._known.keys():
            self._report.differ(f"quarantine {name(key)}", "the log knows no such workflow")
