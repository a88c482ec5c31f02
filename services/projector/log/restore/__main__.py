"""The command: says what a restore would do, and with --yes does it.

python -m services.projector.log.restore       (./run log restore)
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator

from asyncpg.exceptions import PostgresError

from chassis.settings import Settings, load_settings
from chassis.telemetry import set_up_logs
from contracts.subjects import whose
from services.projector.log.restore.archived import ArchiveUnfit
from services.projector.log.restore.closed_log import Refused
from services.projector.log.restore.plan import Plan, TooManyNewer
from services.projector.log.restore.restoration import CannotRestore, Restoration
from services.projector.log.restore.sorting import Newer
from services.projector.progress import shown
from services.projector.task import TROUBLE, both_servers
from services.projector.verify.wording import count, line, name

DESCRIPTION = """Makes a damaged or rolled-back log whole again from its archive in Postgres. Without --yes it only says
what it would do, and changes nothing. Safe to repeat, also after it was killed."""

COMMAND_S = 600.0
"""Of one statement: the longest reads the whole archive once."""

EVENTS_A_SECOND_SLOW, EVENTS_A_SECOND_FAST = 450, 3_000
"""How many events come back, on a disk that takes 2 ms to make one safe, and on a good one."""

NEWER_TOLD_MAX = 50


def words(plan: Plan) -> Iterator[str]:
    """What there is to do, line by line."""
    state = plan.state
    yield f"The log {plan.epoch} ends at position {state.last:,}; {plan.end:,} of its events are archived."
    if plan.is_needless:
        yield "It holds each of them as it was archived: there is nothing to restore."
        return
    if state.is_closed:
        yield "It is closed: an earlier restore was begun, and not finished."
    yield f"It is intact up to position {plan.intact:,}."
    begins = plan.intact if plan.keeps_stream else 0
    if not plan.keeps_stream:
        yield "It is taken away and made anew under its id, as an event cannot be put in before another."
    stored = plan.last - begins
    yield f"{count(stored, 'event')} to be stored: {_duration(stored)}, in which nobody can use the log."
    for what, some in (
        ("appended behind the archived ones", [one for one in plan.newer if one.is_appended]),
        ("set aside in archive.set_aside, and not in the log any more", [one for one in plan.newer if one.why]),
    ):
        if some:
            yield f"{count(len(some), 'newer event')} {what}:"
            yield from (f"  {_told(one)}" for one in some[:NEWER_TOLD_MAX])
            if len(some) > NEWER_TOLD_MAX:
                yield f"  … and {len(some) - NEWER_TOLD_MAX:,} more"


def _told(newer: Newer) -> str:
    entry = newer.entry
    what = f"{name(whose(entry.subject))} {line(entry.subject.partition('.')[2].split('.', 2)[-1])}"
    return f"position {entry.position:,}, {what}" + (f": {line(newer.why)}" if newer.why else "")


def _duration(events: int) -> str:
    slow, fast = events / EVENTS_A_SECOND_SLOW, events / EVENTS_A_SECOND_FAST
    if slow < 2:
        return "a second or two"
    unit, size = ("minutes", 60) if slow > 120 else ("seconds", 1)
    return f"between {max(1, round(fast / size)):,} and {max(2, round(slow / size)):,} {unit}, as the disk is"


async def restore(settings: Settings, *, does: bool, of: str | None) -> None:
    """Tells what there is to do, and does it where it is to. Raises what `main` tells of."""
    async with both_servers(settings, "log restore", command_timeout_s=COMMAND_S) as (nats, connection):
        restoration = Restoration(nats, connection, settings, shown, of=of)
        plan = await restoration.plan()
        print("\n".join(words(plan)), flush=True)  # noqa: T201
        if plan.is_needless:
            return
        if not does:
            print("Nothing was changed. `./run log restore --yes` does it.")  # noqa: T201
            return
        done = await restoration.run()
        if [one.entry for one in done.newer] != [one.entry for one in plan.newer]:
            print("Before the log was closed, more had come into it:")  # noqa: T201
            print("\n".join(words(done)))  # noqa: T201
    print(f"The log is whole and open again: {count(done.last, 'event')}.")  # noqa: T201


def main() -> None:
    """Exit code 0: done, or nothing to do, or told what would be done. 1: a sentence says why it was not."""
    parser = argparse.ArgumentParser(prog="./run log restore", description=DESCRIPTION)
    parser.add_argument("--yes", action="store_true", help="do it")
    parser.add_argument("--of", metavar="ID", help="the id of the log to bring back, where this one is new")
    chosen = parser.parse_args()
    settings = load_settings()
    set_up_logs("log restore", settings.log_level, settings.log_format)
    try:
        asyncio.run(restore(settings, does=chosen.yes, of=chosen.of))
    except KeyboardInterrupt:
        sys.exit("Stopped. If the log was closed by then, it stays so until `./run log restore --yes` has ended.")
    except (CannotRestore, ArchiveUnfit, TooManyNewer, Refused, *TROUBLE) as wrong:
        sys.exit(f"The log was not restored: {wrong}")
    except PostgresError as wrong:
        sys.exit(f"The log was not restored. Postgres refuses: {wrong}")


if __name__ == "__main__":
    main()
