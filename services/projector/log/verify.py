"""The command: compares the log with its archive, hash by hash, on every node, and tells what is not the same.

python -m services.projector.log.verify       (./run log verify)
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asyncpg.exceptions import PostgresError

from chassis.database import named_failures
from chassis.jetstream_log import JetStreamLog, LogClosed
from chassis.settings import Settings, load_settings
from chassis.telemetry import set_up_logs
from services.projector import archive
from services.projector.log.likeness import Comparison
from services.projector.log.nodes import Nodes
from services.projector.log.wording import told_stretches
from services.projector.progress import Told, shown
from services.projector.task import TROUBLE, connected
from services.projector.verify.wording import count

if TYPE_CHECKING:
    from chassis.database import Connection

DESCRIPTION = """Compares the log with its archive in Postgres, hash by hash, on every node, and changes nothing.
Exit code: 0 where they agree, 1 where they do not, 2 where that could not be found out."""

COMMAND_S = 120.0

STRETCHES_TOLD_MAX = 50


class NotComparable(Exception):
    """There is nothing to compare the log with."""


@dataclass
class Copy:
    """One node's copy of the log, beside the archive. The lists of positions rise."""

    name: str
    end: int
    events: int = 0
    missing: list[int] = field(default_factory=list[int])
    different: list[int] = field(default_factory=list[int])
    unarchived: list[int] = field(default_factory=list[int])

    @property
    def is_whole(self) -> bool:
        """Does it hold every archived event, and no other in between?"""
        return not (self.missing or self.different or self.unarchived)


@dataclass(frozen=True)
class Report:
    """What was compared: the log of this epoch, up to where it is archived, in each of its copies."""

    epoch: str
    archived: int
    copies: list[Copy]

    @property
    def is_whole(self) -> bool:
        """Are all copies?"""
        return all(copy.is_whole for copy in self.copies)


async def compare(nodes: Nodes, connection: "Connection", told: Told) -> Report:
    """Compares every node's copy. Raises NotComparable, and what stands in TROUBLE."""
    with named_failures():
        async with nodes.log_at(nodes.urls[0]) as first:
            report = await _begun(first, connection)
        for number, url in enumerate(nodes.urls):
            async with nodes.log_at(url) as node:
                done = number * report.archived
                total = len(nodes.urls) * report.archived
                report.copies.append(await _copy(node, nodes.name(url), connection, report, (told, done, total)))
        return report


async def _begun(node: JetStreamLog, connection: "Connection") -> Report:
    epoch = await node.epoch()
    end = await archive.end(connection, epoch)
    others = await connection.fetchval("SELECT EXISTS (SELECT FROM archive.events WHERE epoch <> $1)", epoch)
    if end == 0 and others:
        raise NotComparable(f"The archive holds nothing of this log ({epoch}), only events of another.")
    return Report(epoch, end, [])


async def _copy(
    node: JetStreamLog, name: str, connection: "Connection", report: Report, progress: tuple[Told, int, int]
) -> Copy:
    told, done, total = progress
    state = await node.state()
    if state.is_closed:
        raise LogClosed
    copy, comparison, after = Copy(name, state.last), Comparison(node, connection, report.epoch), 0
    while after < report.archived:
        piece = await comparison.piece(after, report.archived)
        copy.events += len(piece.entries)
        copy.missing += piece.missing
        copy.different += piece.different
        copy.unarchived += piece.unarchived
        after = piece.upto
        told(done + after, total)
    return copy


def words(report: Report) -> Iterator[str]:
    """The report, line by line."""
    yield f"Compared the log {report.epoch} with its archive up to position {report.archived:,}:"
    for copy in report.copies:
        where = f"{copy.name}: " if copy.name else ""
        yield f"  {where}{count(copy.events, 'event')}" + (", no difference" if copy.is_whole else "")
        for what, positions in (
            ("lacks what was archived at", copy.missing),
            ("holds another event than was archived at", copy.different),
            ("holds what the archive lacks at", copy.unarchived),
        ):
            if positions:
                yield f"  {where}{what} {told_stretches(positions, STRETCHES_TOLD_MAX)}"
        if copy.end > report.archived:
            yield f"  {where}{count(copy.end - report.archived, 'newer event')} behind them, not archived yet"
    if not report.is_whole:
        yield "`./run log restore` says what it would bring back."


async def verify(settings: Settings) -> int:
    """Compares, and tells what came out. -> the exit code"""
    try:
        async with connected(settings, "log verify", command_timeout_s=COMMAND_S) as (_, database):
            with shown("Comparing the log with its archive") as told:
                report = await compare(Nodes.of(settings), database, told)
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
