"""The command: compares the log with its archive, hash by hash, and tells what is not the same.

python -m services.projector.log.verify       (./run log verify)
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asyncpg.exceptions import PostgresError

from chassis.database import named_failures
from chassis.jetstream_log import JetStreamLog, LogClosed, LogState
from chassis.settings import Settings, load_settings
from chassis.telemetry import set_up_logs
from services.projector import archive
from services.projector.log.likeness import Differences, Piece, comparing
from services.projector.log.wording import told_stretches
from services.projector.progress import Told, shown
from services.projector.task import TROUBLE, connected
from services.projector.verify.wording import count

if TYPE_CHECKING:
    from chassis.database import Connection

DESCRIPTION = """Compares the log with its archive in Postgres, hash by hash, each copy by itself, and changes nothing.
Exit code: 0 where they agree, 1 where they do not, 2 where that could not be found out. A copy whose server is away, or
catches up, is named and left out."""

COMMAND_S = 120.0

STRETCHES_TOLD_MAX = 50


class NotComparable(Exception):
    """There is nothing to compare the log with."""


@dataclass
class Report:
    """The log of this epoch beside its archive, which holds it up to `archived`.

    `wrong`: what is wrong in which copies, by the name of their server; the only copy has the name "". `away`: the
    servers whose copies could not be compared, each with the position up to which they were.
    """

    epoch: str
    archived: int
    end: int
    copies: int
    events: int = 0
    wrong: dict[str, Differences] = field(default_factory=dict[str, Differences])
    away: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def is_whole(self) -> bool:
        """Does each copy hold every archived event, and no other in between?"""
        return not self.wrong

    @property
    def others_are_whole(self) -> bool:
        """Is one copy wrong, and all others, of which there are more, are not?"""
        return self.copies > 2 and len(self.wrong) == 1 and not self.away

    def add(self, piece: Piece) -> None:
        """Takes in what stands behind."""
        self.events += len(piece.entries)
        for server, wrong in piece.copies.items():
            if wrong:
                self.wrong.setdefault(server, Differences()).add(wrong)


async def compare(log: JetStreamLog, connection: "Connection", told: Told) -> Report:
    """Compares the log. Raises NotComparable, and what stands in TROUBLE."""
    with named_failures():
        state, after = await log.state(), 0
        report = await _begun(log, state, connection)
        async with comparing(log, state, connection, report.epoch) as comparison:
            while after < report.archived:
                piece = await comparison.piece(after, report.archived)
                report.add(piece)
                after = piece.upto
                told(after, report.archived)
            report.away = dict(comparison.away)
        return report


async def _begun(log: JetStreamLog, state: LogState, connection: "Connection") -> Report:
    if state.is_closed:
        raise LogClosed
    epoch = await log.epoch()
    end = await archive.end(connection, epoch)
    others = await connection.fetchval("SELECT EXISTS (SELECT FROM archive.events WHERE epoch <> $1)", epoch)
    if end == 0 and others:
        raise NotComparable(f"The archive holds nothing of this log ({epoch}), only events of another.")
    return Report(epoch, end, state.last, state.copies)


def words(report: Report) -> Iterator[str]:
    """The report, line by line."""
    copies = f" in {report.copies} copies" if report.copies > 1 else ""
    yield f"Compared the log {report.epoch}{copies} with its archive up to position {report.archived:,}:"
    yield f"  {count(report.events, 'event')}" + (", no difference" if report.is_whole else "")
    for server, wrong in sorted(report.wrong.items()):
        yield from _words(f"{server} " if server else "", wrong)
    for server, upto in sorted(report.away.items()):
        behind = f" behind position {upto:,}" if upto else ""
        yield f"  {server} could not be compared{behind}: it is away, or still fetches what it lacks from the others"
    if report.end > report.archived:
        yield f"  {count(report.end - report.archived, 'newer event')} behind them, not archived yet"
    if report.others_are_whole:
        yield "The other copies are whole: it can be made anew from them (docs/operating.md, One bad copy of three)."
    if not report.is_whole:
        yield "`./run log restore` says what it would bring back."


def _words(copy: str, wrong: Differences) -> Iterator[str]:
    for what, positions in (
        ("cannot give what was archived at", wrong.missing),
        ("holds another event than was archived at", wrong.different),
        ("holds what the archive lacks at", wrong.unarchived),
    ):
        if positions:
            yield f"  {copy}{what} {told_stretches(positions, STRETCHES_TOLD_MAX)}"


async def verify(settings: Settings) -> int:
    """Compares, and tells what came out. -> the exit code"""
    try:
        async with connected(settings, "log verify", command_timeout_s=COMMAND_S) as (log, database):
            with shown("Comparing the log with its archive") as told:
                report = await compare(log, database, told)
    except (NotComparable, *TROUBLE) as wrong:
        return _not_compared(str(wrong))
    except PostgresError as wrong:
        return _not_compared(f"Postgres refuses: {wrong}")
    print("\n".join(words(report)))  # noqa: T201
    return 0 if report.is_whole else 1


def _not_compared(why: str) -> int:
    """-> the exit code"""
    print(f"It could not be compared. {why}", file=sys.stderr)  # noqa: T201
    return 2


def main() -> None:
    """Exit code 0: they agree. 1: they do not. 2: it could not be compared, and a sentence says why."""
    argparse.ArgumentParser(prog="./run log verify", description=DESCRIPTION).parse_args()
    settings = load_settings()
    set_up_logs("log verify", settings.log_level, settings.log_format)
    try:
        sys.exit(asyncio.run(verify(settings)))
    except KeyboardInterrupt:
        print("It was interrupted before all was compared.", file=sys.stderr)  # noqa: T201
        sys.exit(2)


if __name__ == "__main__":
    main()
