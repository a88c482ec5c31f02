"""What happens to a log's files: a bit that flips, a block that is cut, while the server is killed or stopped."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from chassis.event_store import StoreUnavailable
from tests.services.projector.press import Press
from tests.waiting import until

SUBJECT = b"workflow.local."
"""With it, in a block, the subject of each event begins."""


def flip_bit(block: Path) -> None:
    """One bit, in the body of an event in the middle of the block."""
    data = bytearray(block.read_bytes())
    data[data.index(b'"type"', len(data) // 2) + 3] ^= 1
    _overwrite(block, data)


def cut(block: Path) -> None:
    """The second half of the block is gone, in the middle of an event."""
    os.truncate(block, block.stat().st_size // 2)


async def damage(press: Press, what: Callable[[Path], None], *, then: signal.Signals) -> None:
    """Damages the log's only block while its server is frozen, and then ends that; waits for the next one."""
    pid = press.running.pid("nats")
    os.kill(pid, signal.SIGSTOP)
    (block,) = press.running.log_blocks
    what(block)
    os.kill(pid, then)
    with suppress(ProcessLookupError):  # one that is killed may be gone already
        os.kill(pid, signal.SIGCONT)

    async def is_back() -> bool:
        try:
            await (await press.log()).state()
        except StoreUnavailable:
            return False
        return press.running.pid("nats") != pid

    await until(is_back, "the server is back")


def _overwrite(block: Path, data: bytearray) -> None:
    with block.open("r+b") as file:
        file.write(data)
