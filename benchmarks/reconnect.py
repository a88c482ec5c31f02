"""1,000 websockets on one gateway that is killed: how long until each is back, and whether one has a gap or a repeat.

Ends with 1 when one of them missed an event or heard one twice, or when not all were back within 10 seconds.
"""

import argparse
import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import websockets
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from benchmarks.judging import end
from benchmarks.pipeline import system
from local.servers import temporary_folder
from local.spawn import noted_processes
from local.supervisor import REGISTER

GATEWAY = "gateway-1"
WAITS_S = (0.1, 0.2, 0.5, 1.0)
"""Between two tries of one client; the last one for ever."""


BACK_MAX_S = 10.0
"""Within which every client has to be served again."""

GIVE_UP_S = 60.0
"""For what every client has to hear; those that have not by then count as not back, or as having missed it."""


@dataclass
class Attachment:
    """One time that a client attached behind a revision, and the revisions of all events that it was sent then."""

    after: int
    heard: list[int] = field(default_factory=list[int])

    @property
    def is_whole(self) -> bool:
        """Did each revision come once, in order, from the one behind `after` on?"""
        return self.heard == list(range(self.after + 1, self.after + 1 + len(self.heard)))


class Watcher:
    """A client that attaches again behind the last revision but one, until it is told to stop.

    So the last event is told again when it is back, which shows that it is served; no other may be.
    """

    def __init__(self, url: str, workflow_id: str) -> None:
        self._url, self._workflow_id = url, workflow_id
        self.attachments: list[Attachment] = []
        self.served_at = 0.0

    @property
    def revision(self) -> int:
        """The last one that it was sent; 0 before any."""
        return max((revision for one in self.attachments for revision in one.heard), default=0)

    @property
    def has_gap(self) -> bool:
        """Did it miss an event, or hear one twice?"""
        return not all(one.is_whole for one in self.attachments)

    async def watch(self) -> None:
        """Attaches again and again."""
        tries = 0
        while True:
            with suppress(OSError, ConnectionClosed, InvalidHandshake):
                async with websockets.connect(self._url, proxy=None, compression=None, open_timeout=30) as socket:
                    await socket.send(json.dumps(self.attach()))
                    async for text in socket:
                        tries = 0
                        self.hear(json.loads(text))
            await asyncio.sleep(WAITS_S[min(tries, len(WAITS_S) - 1)])
            tries += 1

    def attach(self) -> dict[str, object]:
        """The first frame of one more attachment."""
        self.attachments.append(Attachment(max(0, self.revision - 1)))
        return {"type": "attach", "workflow_id": self._workflow_id, "after_revision": self.attachments[-1].after}

    def hear(self, frame: Mapping[str, object]) -> None:
        """Notes the revision of each event, also of one that it has heard before."""
        revision = frame.get("revision") if frame["type"] == "event" else None
        if isinstance(revision, int):
            self.served_at = time.monotonic()
            self.attachments[-1].heard.append(revision)


@dataclass(frozen=True)
class Found:
    """What came of it: sockets that were not served again, with a gap, and seconds until the last one was served."""

    sockets: int
    lost: int
    gaps: int
    all_back_s: float

    def beyond(self) -> list[str]:
        """In sentences, what must not be."""
        told = list[str]()
        if self.gaps:
            told.append(f"{self.gaps} of {self.sockets} clients missed an event or heard one twice")
        if self.lost:
            told.append(f"{self.lost} of {self.sockets} clients were not back within {GIVE_UP_S:g} s")
        elif self.all_back_s > BACK_MAX_S:
            told.append(f"all were back after {self.all_back_s:.2f} s; allowed are {BACK_MAX_S:g} s")
        return told


async def measure(folder: Path, count: int) -> Found:
    """Kills the gateway under so many clients, and has one more event come when they are back."""
    async with system(folder, slots=16) as (url, standin):
        await standin.rule(when={"kind": "image"}, do={"hang": True})
        workflow_id = await started(url)
        watchers = [Watcher(url, workflow_id) for _ in range(count)]
        watching = [asyncio.create_task(watcher.watch()) for watcher in watchers]
        if await left_out(watchers, lambda watcher: watcher.revision > 0):
            raise RuntimeError("not every client was served before the gateway was killed")
        killed_at = time.monotonic()
        os.kill(noted_processes(folder / "data" / REGISTER)[GATEWAY][0], signal.SIGKILL)
        lost = await left_out(watchers, lambda watcher: watcher.served_at > killed_at)
        back_s = time.monotonic() - killed_at
        last = await cancelled(url, workflow_id)
        missed = await left_out(watchers, lambda watcher: watcher.revision >= last)
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    gaps = sum(watcher.has_gap or watcher in missed for watcher in watchers)
    return Found(count, len(lost), gaps, round(back_s, 2))


async def started(url: str) -> str:
    """Starts the workflow that all watch; its picture is never drawn. -> its id"""
    async with websockets.connect(url, proxy=None) as socket:
        await socket.send(json.dumps({"type": "start", "topic": "Watched by many"}))
        workflow_id = ""
        async for text in socket:
            frame = json.loads(text)
            workflow_id = frame.get("workflow_id", workflow_id)
            if frame.get("work") == "illustration":
                return workflow_id
    raise RuntimeError("the workflow ended before its picture was to be drawn")


async def cancelled(url: str, workflow_id: str) -> int:
    """Has one more event come, which every watcher has to hear. -> its revision"""
    async with websockets.connect(url, proxy=None) as socket:
        await socket.send(json.dumps({"type": "attach", "workflow_id": workflow_id}))
        await socket.send(json.dumps({"type": "cancel"}))
        async for text in socket:
            frame = json.loads(text)
            if frame["type"] == "accepted":
                return frame["revision"]
    raise RuntimeError("the workflow could not be cancelled")


async def left_out(watchers: Sequence[Watcher], has_it: Callable[[Watcher], bool]) -> list[Watcher]:
    """Waits until all have it. -> those that still have not when it is given up"""
    give_up_at = time.monotonic() + GIVE_UP_S
    while True:
        left = [watcher for watcher in watchers if not has_it(watcher)]
        if not left or time.monotonic() > give_up_at:
            return left
        await asyncio.sleep(0.05)


def main() -> None:
    """Prints one line of JSON; ends with 1 when something was missed or repeated, or came back too late."""
    parser = argparse.ArgumentParser(
        prog="./run bench reconnect", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sockets", type=int, default=1_000, help="how many (default: 1000)")
    count = parser.parse_args().sockets
    with temporary_folder() as folder:
        found = asyncio.run(measure(folder, count))
    end(asdict(found), found.beyond())


if __name__ == "__main__":
    main()
