"""The command: compares once, and tells what came out.

python -m services.projector.verify       (./run verify)
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager

from asyncpg.exceptions import PostgresError

from chassis.settings import Settings, load_settings
from chassis.telemetry import set_up_logs
from services.projector.progress import shown
from services.projector.task import TROUBLE, connected
from services.projector.verify.examination import Told, examine
from services.projector.verify.report import Report, words
from services.projector.verify.snapshot import CannotBeChecked

DESCRIPTION = """Compares the read tables and the archive with the log, and changes nothing.
Exit code: 0 where they agree, 1 where they do not, 2 where that could not be found out."""

COMMAND_S = 120.0
"""Of one read of the tables; the largest takes seconds on a slow disk."""


def main() -> None:
    """Exit code 0: they agree. 1: they do not. 2: it could not be checked, and a sentence says why."""
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
    except (CannotBeChecked, *TROUBLE) as wrong:
        return _not_checked(str(wrong))
    except PostgresError as wrong:
        return _not_checked(f"Postgres refuses: {wrong}")
    print("\n".join(words(report)))  # noqa: T201
    return 1 if report.differences else 0


def _not_checked(why: str) -> int:
    """-> the exit code"""
    print(f"It could not be checked. {why}", file=sys.stderr)  # noqa: T201
    return 2


async def _check(settings: Settings, told: Told) -> Report:
    """Connects, compares, and leaves. Raises CannotBeChecked, and what stands in TROUBLE."""
    async with connected(settings, "verify", command_timeout_s=COMMAND_S) as (log, database):
        return await examine(log, database, told=told)


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
