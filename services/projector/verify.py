"""Verify: do the read tables and the archive say what the log says? Compares all of it, and names each difference.

python -m services.projector.verify       exit code 0: they agree; 1: they do not; 2: it could not be checked

Two passes over the log, beside one snapshot of the database, up to the position of the live tables:
1. every message in order, beside its copy in the archive; the workflows are counted on the way;
2. every workflow's history, folded by slow_fold.py, beside its rows.
What is kept in memory grows with the number of workflows, not with what they contain.
"""

import argparse
import asyncio
import hashlib
import json
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asyncpg.exceptions import PostgresError, UndefinedTableError

from chassis.connection import Connection, NoAnswer
from chassis.database import AWAY, DatabaseNotSetUp, DatabaseUnavailable, DataRefused, named_failures, open_connection
from chassis.event_store import NotAllowed, StoreUnavailable
from chassis.jetstream_log import Entry, JetStreamLog
from chassis.jetstream_store import LAG_PAUSES_S
from chassis.settings import Settings, load_settings
from chassis.telemetry import set_up_logs
from contracts.envelope import Recorded, UnreadableEvent, decode
from contracts.events import Event, WorkflowRequested
from contracts.services import PROJECTOR
from contracts.subjects import TOKEN, WorkflowKey, storable, whose
from contracts.workflow import EVENTS_MAX
from services.projector.progress import shown
from services.projector.slow_fold import KEYS, Row, rows_of

if TYPE_CHECKING:
    from chassis.database import Connection as Database

DESCRIPTION = """Compares the read tables and the archive with the log, and changes nothing.
Exit code: 0 where they agree, 1 where they do not, 2 where that could not be found out."""

EVENTS_A_READ = 256
WORKFLOWS_A_READ = 200
KEYS_A_READ = 5_000
HISTORIES_SIDE_BY_SIDE = 16
"""Enough for the server to be busy while this process folds, few enough to leave it to the stages."""

DIFFERENCES_MAX = 10_000
"""Kept of one check; what comes behind is only counted."""

LINES_MAX = 50
"""Printed of a list: whoever needs more has to mend something first."""

VALUE_LENGTH_MAX = 60
"""Characters of a value in the line of a difference."""

ALIKE_MAX = VALUE_LENGTH_MAX // 2
"""Characters with which two texts may both begin, before only their rests are shown."""

CONNECT_S = 5.0
COMMAND_S = 120.0
"""Of one read of the tables; the largest takes seconds on a slow disk."""

GENERATED = "search"
"""The one column that Postgres itself keeps; the slow fold does not know it."""

T = TypeVar("T")
Told = Callable[[str, int, int], None]
"""Is told what is being compared, how much of it is done, and how much there is."""


class CannotBeChecked(Exception):
    """Whether the tables agree with the log cannot be told at the moment."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not as the log has it."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class Hold:
    """A workflow that is held, as the quarantine has it."""

    position: int
    subject: str
    error: str
    events: int


@dataclass(frozen=True)
class Books:
    """What the projector says of the live tables, and which workflows it holds."""

    generation: int
    epoch: str
    position: int
    applied: int
    held: int
    quarantine: Mapping[WorkflowKey, Hold]


@dataclass(frozen=True)
class Unfit:
    """The first event of a workflow that cannot be applied, and why."""

    position: int
    why: str


@dataclass
class Report:
    """What was compared, and what came out."""

    books: Books
    events: int = 0
    workflows: int = 0
    rows: Counter[str] = field(default_factory=Counter[str])
    differences: list[Difference] = field(default_factory=list[Difference])
    uncounted: int = 0

    @property
    def differences_count(self) -> int:
        """How many there are, those that are not kept included."""
        return len(self.differences) + self.uncounted

    def differ(self, where: str, what: str) -> None:
        """Notes a difference."""
        if len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(Difference(where, what))
        else:
            self.uncounted += 1


def _nobody(what: str, done: int, total: int) -> None:
    """Listens to no progress."""


async def verify(log: JetStreamLog, connection: "Database", *, told: Told = _nobody) -> list[Difference]:
    """Every difference between the log and what was made of it, none where all is well. Raises as `examine` does."""
    return (await examine(log, connection, told=told)).differences


async def examine(log: JetStreamLog, connection: "Database", *, told: Told = _nobody) -> Report:
    """Compares the log with the archive and with the live tables, in one snapshot of the database.

    Raises CannotBeChecked, StoreUnavailable, DatabaseUnavailable.
    """
    tables = Tables(connection)
    async with tables.snapshot():
        books = await tables.books()
        try:
            return await _Examination(log, tables, books, told).run()
        except DatabaseNotSetUp as gone:
            if not isinstance(gone.__cause__, UndefinedTableError):
                raise
            raise CannotBeChecked("A rebuild swapped the tables while they were read; run it again.") from gone


class _Examination:
    """One check, from its first read to its report."""

    def __init__(self, log: JetStreamLog, tables: "Tables", books: Books, told: Told) -> None:
        self._log, self._tables, self._books, self._told = log, tables, books, told
        self._report = Report(books)
        self._known: Counter[WorkflowKey] = Counter()
        self._end = 0

    async def run(self) -> Report:
        epoch = await self._log.epoch()
        if epoch != self._books.epoch:  # nothing else can agree then, and each event would be a difference
            self._report.differ("checkpoint", f"was built from the log {self._books.epoch}; this log is {epoch}")
            return self._report
        await self._compare_log_with_archive()
        await self._compare_workflows()
        await self._look_for_strangers()
        self._compare_counters()
        return self._report

    # ------------------------------------------------------------ the log and the archive

    async def _compare_log_with_archive(self) -> None:
        self._end, position = await self._log.end(), self._books.position
        if self._end < position:
            self._report.differ("log", f"ends at position {self._end}, before the checkpoint at {position}")
        async for after, upto, entries in self._spans():
            archived = await self._tables.archived(self._books.epoch, after, upto)
            self._compare_span(range(after + 1, upto + 1), entries, archived)
            self._known.update(whose(entry.subject) for entry in entries.values())
            self._told("events", upto, position)
        self._report.workflows = len(self._known)
        for first, last in _runs(await self._tables.archived_beyond(self._books.epoch, position)):
            self._report.differ("archive", f"holds {_from_to(first, last)}, which the tables do not contain")

    async def _spans(self) -> AsyncGenerator[tuple[int, int, dict[int, Entry]]]:
        """The log up to the checkpoint: from behind a position up to another one, and the entries there."""
        after, position, is_over = 0, self._books.position, False
        while after < position:
            found = [] if is_over else await self._read(after)
            is_over = not found
            # A read may bring less than there is, and what it brings may lie behind a hole.
            upto = min(position, after + EVENTS_A_READ, found[-1].position if found else position)
            yield after, upto, {entry.position: entry for entry in found if entry.position <= upto}
            after = upto

    async def _read(self, after: int) -> list[Entry]:
        return await _patiently(
            lambda: self._log.read(after, EVENTS_A_READ), lambda found: bool(found) or after >= self._end
        )

    def _compare_span(self, positions: range, entries: Mapping[int, Entry], archived: Mapping[int, Row]) -> None:
        self._miss("log", [one for one in positions if one <= self._end and one not in entries])
        self._miss("archive", [one for one in positions if one not in archived])
        for position, entry in entries.items():
            wrong = _unlike_archived(entry, archived[position]) if position in archived else []
            if wrong:
                self._report.differ(f"archive position {position}", f"not as in the log: {', '.join(wrong)}")
        self._report.events += len(entries)

    def _miss(self, where: str, positions: Sequence[int]) -> None:
        for first, last in _runs(positions):
            self._report.differ(where, f"holds nothing at {_from_to(first, last)}")

    # ------------------------------------------------------------ the workflows and their rows

    async def _compare_workflows(self) -> None:
        scanned = await self._scanned({key for key in self._known if not self._is_asked_for(key)})
        done = 0
        for keys in _batches(self._known, WORKFLOWS_A_READ):
            histories = scanned | await self._histories([key for key in keys if key not in scanned])
            rows = {table: await self._tables.rows(table, keys) for table in KEYS}
            for key in keys:
                found = {table: rows[table].get(key, []) for table in KEYS}
                self._compare_workflow(key, histories[key], found)
            done += len(keys)
            self._told("workflows", done, len(self._known))

    def _is_asked_for(self, key: WorkflowKey) -> bool:
        """Can one request read its history? Not of a name that breaks the rules, nor above the server's limit."""
        return self._known[key] <= EVENTS_MAX and all(TOKEN.fullmatch(name) for name in key)

    async def _scanned(self, keys: set[WorkflowKey]) -> dict[WorkflowKey, list[Entry]]:
        """The histories that no request reads, by reading the whole log once more. They are rare and illegal."""
        found: dict[WorkflowKey, list[Entry]] = {key: [] for key in keys}
        if keys:
            async for _, upto, entries in self._spans():
                for entry in entries.values():
                    found.get(whose(entry.subject), []).append(entry)
                self._told("events once more", upto, self._books.position)
        return found

    async def _histories(self, keys: Sequence[WorkflowKey]) -> dict[WorkflowKey, list[Entry]]:
        """Every entry of these workflows up to the checkpoint, in order of position."""
        found: dict[WorkflowKey, list[Entry]] = {}
        for some in _batches(keys, HISTORIES_SIDE_BY_SIDE):
            histories = await asyncio.gather(*(self._history(key) for key in some))
            found |= zip(some, histories, strict=True)
        return found

    async def _history(self, key: WorkflowKey) -> list[Entry]:
        async def read() -> list[Entry]:
            return [entry for entry in await self._log.history(key) if entry.position <= self._books.position]

        found = await _patiently(read, lambda found: len(found) >= self._known[key])
        return sorted(found, key=lambda entry: entry.position)

    def _compare_workflow(self, key: WorkflowKey, entries: Sequence[Entry], found: Mapping[str, list[Row]]) -> None:
        name = _name(key)
        for table, rows in found.items():
            self._report.rows[table] += len(rows)
        if len(entries) != self._known[key]:
            self._report.differ(f"log {name}", f"its history has {len(entries)} events, the log {self._known[key]}")
            return
        history, unfit = readable(entries)
        hold = self._books.quarantine.get(key)
        for what in _quarantine_differences(entries, unfit, hold):
            self._report.differ(f"quarantine {name}", what)
        held_from = min((one.position for one in (unfit, hold) if one), default=self._books.position + 1)
        expected = rows_of([one for one in history if one.position < held_from])
        for table in KEYS:
            for where, what in row_differences(table, expected[table], found[table]):
                self._report.differ(f"{table} {name}{where}", what)

    async def _look_for_strangers(self) -> None:
        """Rows of workflows that the log does not know."""
        for done, table in enumerate(KEYS, start=1):
            async for key in self._tables.keys(table):
                if key not in self._known:
                    self._report.differ(f"{table} {_name(key)}", "the log knows no such workflow")
            self._told("tables", done, len(KEYS))
        for key in self._books.quarantine.keys() - self._known.keys():
            self._report.differ(f"quarantine {_name(key)}", "the log knows no such workflow")

    def _compare_counters(self) -> None:
        books = self._books
        listed = sum(hold.events for hold in books.quarantine.values())
        if books.applied + books.held != books.position:
            what = f"{books.applied} applied and {books.held} held events are not the {books.position} of the log"
            self._report.differ("checkpoint", what)
        if books.held != listed:
            self._report.differ("checkpoint", f"counts {books.held} held events, the quarantine lists {listed}")


async def _patiently(
    read: Callable[[], Awaitable[list[Entry]]], is_whole: Callable[[list[Entry]], bool]
) -> list[Entry]:
    """What is read; a few times where something is missing: a replica may lag, and what it lacks is not lost."""
    for pause in LAG_PAUSES_S:
        found = await read()
        if is_whole(found):
            return found
        await asyncio.sleep(pause)
    return await read()


# ---------------------------------------------------------------- what the database holds


class Tables:
    """The archive, the projector's books and the live tables, as they stand in one snapshot."""

    def __init__(self, connection: "Database") -> None:
        self._connection = connection
        self._schema = ""

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[None]:
        """Everything that is read meanwhile is of one moment."""
        transaction = self._connection.transaction(isolation="repeatable_read", readonly=True)
        with named_failures():
            await transaction.start()
        try:
            yield
        finally:
            with suppress(*AWAY, PostgresError):  # a snapshot leaves nothing behind, however it ends
                await transaction.rollback()

    async def books(self) -> Books:
        """What the projector says of itself. Raises CannotBeChecked where there are no tables yet."""
        live = await self._fetch(
            "SELECT generation, epoch, position, applied, held"
            " FROM projection.live JOIN projection.checkpoints USING (generation)"
        )
        if not live:
            raise CannotBeChecked("There are no read tables yet: no projector has run.")
        generation = int(live[0]["generation"])
        self._schema = f"read_{generation}"
        return Books(**live[0], quarantine=await self._quarantine(generation))

    async def _quarantine(self, generation: int) -> dict[WorkflowKey, Hold]:
        found = await self._fetch(
            "SELECT owner, workflow_id, position, subject, error, events"
            " FROM projection.quarantine WHERE generation = $1 ORDER BY position",
            generation,
        )
        return {_key_of(row): Hold(row["position"], row["subject"], row["error"], row["events"]) for row in found}

    async def archived(self, epoch: str, after: int, upto: int) -> dict[int, Row]:
        """The archived messages behind this position, up to that one."""
        found = await self._fetch(
            "SELECT position, subject, headers, body, sha256 FROM archive.events"
            " WHERE epoch = $1 AND position > $2 AND position <= $3",
            epoch,
            after,
            upto,
        )
        return {row["position"]: row for row in found}

    async def archived_beyond(self, epoch: str, position: int) -> list[int]:
        """Positions of archived messages that no log up to this position can have."""
        found = await self._fetch(
            "SELECT position FROM archive.events WHERE epoch = $1 AND (position > $2 OR position < 1)"
            " ORDER BY position LIMIT $3",
            epoch,
            position,
            DIFFERENCES_MAX,
        )
        return [row["position"] for row in found]

    async def rows(self, table: str, keys: Sequence[WorkflowKey]) -> dict[WorkflowKey, list[Row]]:
        """The rows of these workflows."""
        found = await self._fetch(
            f"SELECT t.* FROM {self._schema}.{table} t"  # noqa: S608 - the schema is made of a number, the table our own
            " JOIN unnest($1::text[], $2::text[]) AS k (owner, workflow_id) USING (owner, workflow_id)",
            [key.owner for key in keys],
            [key.workflow_id for key in keys],
        )
        by_key: dict[WorkflowKey, list[Row]] = {}
        for row in found:
            row.pop(GENERATED, None)
            by_key.setdefault(_key_of(row), []).append(row)
        return by_key

    async def keys(self, table: str) -> AsyncGenerator[WorkflowKey]:
        """Every workflow that has a row in this table."""
        last = WorkflowKey("", "")
        while True:
            found = await self._fetch(
                f"SELECT DISTINCT owner, workflow_id FROM {self._schema}.{table}"  # noqa: S608 - as above
                " WHERE (owner, workflow_id) > ($1, $2) ORDER BY owner, workflow_id LIMIT $3",
                *last,
                KEYS_A_READ,
            )
            for row in found:
                yield _key_of(row)
            if len(found) < KEYS_A_READ:
                return
            last = _key_of(found[-1])

    async def _fetch(self, sql: str, *arguments: object) -> list[Row]:
        with named_failures():
            return [dict(row) for row in await self._connection.fetch(sql, *arguments)]


# ---------------------------------------------------------------- comparing


def readable(entries: Sequence[Entry]) -> tuple[list[Recorded[Event]], Unfit | None]:
    """A workflow's events up to the first that cannot be applied, and that one, where there is one."""
    history: list[Recorded[Event]] = []
    for entry in entries:
        try:
            recorded = decode(entry.subject, entry.headers, entry.body, position=entry.position)
        except UnreadableEvent as wrong:
            return history, Unfit(entry.position, str(wrong))
        if recorded.revision != len(history) + 1:
            return history, Unfit(entry.position, f"revision {recorded.revision} follows revision {len(history)}")
        if not history and not isinstance(recorded.event, WorkflowRequested):
            return history, Unfit(entry.position, f"its first event is {recorded.event.type}")
        history.append(recorded)
    return history, None


def _quarantine_differences(entries: Sequence[Entry], unfit: Unfit | None, hold: Hold | None) -> Iterator[str]:
    if hold is None:
        if unfit:
            yield f"it is not held, but position {unfit.position} cannot be applied: {_line(unfit.why)}"
        return
    if unfit and unfit.position < hold.position:
        yield f"it is held from position {hold.position} on, but {unfit.position} cannot be applied: {_line(unfit.why)}"
    first = next((entry for entry in entries if entry.position == hold.position), None)
    if first is None:
        yield f"it is held from position {hold.position} on, where none of its events stands"
    elif storable(first.subject) != hold.subject:
        yield f"it names the subject {_short(hold.subject)}; at {hold.position} stands {_short(first.subject)}"
    events = sum(entry.position >= hold.position for entry in entries)
    if events != hold.events:
        yield f"it counts {hold.events} held events, there are {events}"


def _unlike_archived(entry: Entry, archived: Row) -> list[str]:
    """The columns in which the archived message is not that of the log."""
    headers = dict(entry.headers)
    told = json.dumps([entry.subject, headers], sort_keys=True).encode()
    expected = {
        "subject": storable(entry.subject),
        "headers": json.dumps(headers, sort_keys=True),
        "body": entry.body,
        "sha256": hashlib.sha256(told + b"\0" + entry.body).digest(),
    }
    return [column for column, value in expected.items() if archived[column] != value]


def row_differences(table: str, expected: Sequence[Row], found: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Which row, and what is wrong with it."""
    wanted, there = ({_row_name(table, row): row for row in rows} for rows in (expected, found))
    yield from ((name, "the row is missing") for name in wanted if name not in there)
    yield from ((name, "the row has no event in the log") for name in there if name not in wanted)
    for name in [name for name in wanted if name in there]:
        for column in sorted(wanted[name].keys() | there[name].keys()):
            unlike = _unlike(column, wanted[name].get(column, ABSENT), there[name].get(column, ABSENT))
            yield from ((name, what) for what in islice(unlike, 1))


class _Absent:
    """Stands where one side has nothing, not even null."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


def _unlike(place: str, expected: object, found: object) -> Iterator[str]:
    """Each place at which two values differ, as a line."""
    wanted, there, pairs = _fields(expected), _fields(found), _pairs(expected, found)
    if wanted is not None and there is not None:
        for name in sorted({*wanted, *there}):
            yield from _unlike(f"{place}.{name}", wanted.get(name, ABSENT), there.get(name, ABSENT))
    elif pairs is not None:
        for index, (one, other) in enumerate(pairs):
            yield from _unlike(f"{place}[{index}]", one, other)
    elif not _is_same(expected, found):
        yield _told_apart(place, expected, found)


def _fields(value: object) -> Row | None:
    return cast(Row, value) if isinstance(value, dict) else None


def _pairs(expected: object, found: object) -> list[tuple[Any, Any]] | None:
    """What stands at the same place in two lists of one length; None where they are something else."""
    if not (isinstance(expected, list) and isinstance(found, list)):
        return None
    one, other = cast(list[Any], expected), cast(list[Any], found)
    return list(zip(one, other, strict=True)) if len(one) == len(other) else None


def _is_same(expected: Any, found: Any) -> bool:
    if isinstance(expected, bool) or isinstance(found, bool):  # to Python, true is 1
        return expected is found
    if isinstance(expected, float):  # jsonb keeps a decimal number, and gives a large one back as an integer
        return found == expected or found == Decimal(repr(expected))
    return expected == found


def _told_apart(place: str, expected: object, found: object) -> str:
    if isinstance(expected, str) and isinstance(found, str) and (alike := _alike(expected, found)) > ALIKE_MAX:
        return f"{place} is {_short(found[alike:])} behind {alike} characters, the log says {_short(expected[alike:])}"
    return f"{place} is {_short(found)}, the log says {_short(expected)}"


def _alike(one: str, other: str) -> int:
    """With how many characters do both begin?"""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


# ---------------------------------------------------------------- words and small things


def _key_of(row: Row) -> WorkflowKey:
    return WorkflowKey(row["owner"], row["workflow_id"])


def _name(key: WorkflowKey) -> str:
    return f"{key.owner}/{key.workflow_id}"


def _row_name(table: str, row: Row) -> str:
    return "".join(f" {column} {row[column]}" for column in KEYS[table])


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= VALUE_LENGTH_MAX else f"{text[: VALUE_LENGTH_MAX - 1]}…"


def _line(text: str) -> str:
    """As one line, and not a long one."""
    return " ".join(text.split())[:200]


def _from_to(first: int, last: int) -> str:
    return f"position {first}" if first == last else f"positions {first} to {last}"


def _runs(positions: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each unbroken run of these rising numbers."""
    first = 0
    for index, position in enumerate(positions):
        if index + 1 == len(positions) or positions[index + 1] != position + 1:
            yield positions[first], position
            first = index + 1


def _batches(these: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(these)
    while batch := list(islice(rest, size)):
        yield batch


# ---------------------------------------------------------------- for people


def main() -> None:
    """Checks once, and tells what came out."""
    argparse.ArgumentParser(prog="./run verify", description=DESCRIPTION).parse_args()
    settings = load_settings()
    set_up_logs("verify", settings.log_level, settings.log_format)
    try:
        sys.exit(asyncio.run(_main(settings)))
    except KeyboardInterrupt:
        print("It was interrupted before all was compared.", file=sys.stderr)  # noqa: T201
        sys.exit(2)


async def _main(settings: Settings) -> int:
    """-> the exit code"""
    try:
        with _display() as told:
            report = await _check(settings, told)
    except (CannotBeChecked, StoreUnavailable, NoAnswer, NotAllowed, DatabaseUnavailable, DataRefused) as wrong:
        print(f"It could not be checked. {wrong}", file=sys.stderr)  # noqa: T201
        return 2
    except PostgresError as wrong:
        print(f"It could not be checked. Postgres refuses: {wrong}", file=sys.stderr)  # noqa: T201
        return 2
    print("\n".join(words(report)))  # noqa: T201
    return 1 if report.differences else 0


async def _check(settings: Settings, told: Told) -> Report:
    """Connects, compares, and leaves. Raises CannotBeChecked, and what the servers' being away is called."""
    connection = await _connect(settings)
    try:
        database = await open_connection(
            settings.postgres_url.get_secret_value(), name="verify", command_timeout_s=COMMAND_S
        )
        try:
            return await examine(JetStreamLog(connection), database, told=told)
        finally:
            database.terminate()
    finally:
        await connection.close()


async def _connect(settings: Settings) -> Connection:
    user, password = settings.nats_user or PROJECTOR, settings.nats_password.get_secret_value()
    try:
        async with asyncio.timeout(CONNECT_S):
            return await Connection.open(settings.nats_url, user=user, password=password, name="verify")
    except TimeoutError as late:
        raise CannotBeChecked(f"NATS does not answer at {settings.nats_url}.") from late


def words(report: Report) -> Iterator[str]:
    """The report, line by line."""
    books = report.books
    yield f"Compared the read tables, generation {books.generation}, with the log up to position {books.position:,}:"
    yield f"  {report.events:,} events, beside their copies in the archive"
    yield f"  {report.workflows:,} workflows"
    yield from (f"  {report.rows[table]:,} rows of {table}" for table in KEYS)
    if books.quarantine:
        yield f"Held: {_count(books.quarantine, 'workflow')}."
        yield from _listed([f"  {_name(key)} {_told_hold(hold)}" for key, hold in books.quarantine.items()])
    if report.differences:
        yield f"Different: {_count(range(report.differences_count), 'thing')}."
        yield from _listed([f"  {one}" for one in report.differences], of=report.differences_count)
    else:
        yield "No difference: they say what the log says."


def _told_hold(hold: Hold) -> str:
    return f"from position {hold.position} on, {_count(range(hold.events), 'event')}: {_line(hold.error)}"


def _listed(lines: Sequence[str], *, of: int | None = None) -> Iterator[str]:
    yield from lines[:LINES_MAX]
    more = (of or len(lines)) - LINES_MAX
    if more > 0:
        yield f"  … and {more:,} more"


def _count(these: "Mapping[Any, Any] | range", what: str) -> str:
    return f"{len(these):,} {what}{'' if len(these) == 1 else 's'}"


@contextmanager
def _display() -> Generator[Told]:
    """Shows the progress of one thing after the other."""
    shows: dict[str, Callable[[int, int], None]] = {}
    with ExitStack() as stack:

        def told(what: str, done: int, total: int) -> None:
            if what not in shows:
                stack.close()  # what was shown before is complete
                shows[what] = stack.enter_context(shown(what))
            shows[what](done, total)

        yield told


if __name__ == "__main__":
    main()
