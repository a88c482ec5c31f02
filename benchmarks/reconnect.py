"""1,000 websockets on one gateway that is killed: how long until each is back, and whether one misses an event."""

import argparse
import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import websockets
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from benchmarks.pipeline import system
from local.servers import temporary_folder
from local.spawn import noted_processes
from local.supervisor import REGISTER

GATEWAY = "gateway-1"
WAITS_S = (0.1, 0.2, 0.5, 1.0)
"""Between two tries of one client; the last one for ever."""


class Watcher:
    """A client that attaches again behind its last revision, until it is told to stop."""

    def __init__(self, url: str, workflow_id: str) -> None:
        self._url, self._workflow_id = url, workflow_id
        self.revisions: list[int] = []
        self.attached_at = 0.0

    async def watch(self) -> None:
        tries = 0
        while True:
            with suppress(OSError, ConnectionClosed, InvalidHandshake):
                async with websockets.connect(self._url, proxy=None, compression=None, open_timeout=30) as socket:
                    # From one before: the event that is told again shows that the client is served.
                    after = max(0, len(self.revisions) - 1)
                    attach = {"type": "attach", "workflow_id": self._workflow_id, "after_revision": after}
                    await socket.send(json.dumps(attach))
                    async for text in socket:
                        tries = 0
                        self._hear(json.loads(text))
            await asyncio.sleep(WAITS_S[min(tries, len(WAITS_S) - 1)])
            tries += 1

    def _hear(self, frame: dict[str, object]) -> None:
        revision = frame.get("revision") if frame["type"] == "event" else None
        if isinstance(revision, int):
            self.attached_at = time.monotonic()
            if revision > len(self.revisions):
                self.revisions.append(revision)


async def measure(folder: Path, count: int) -> dict[str, object]:
    async with system(folder, slots=16) as (url, standin):
        await standin.rule(when={"kind": "image"}, do={"hang": True})
        workflow_id = await started(url)
        watchers = [Watcher(url, workflow_id) for _ in range(count)]
        watching = [asyncio.create_task(watcher.watch()) for watcher in watchers]
        await until_all(lambda: all(watcher.revisions for watcher in watchers))
        killed_at = time.monotonic()
        os.kill(noted_processes(folder / "data" / REGISTER)[GATEWAY][0], signal.SIGKILL)
        await until_all(lambda: all(watcher.attached_at > killed_at for watcher in watchers))
        back_s = time.monotonic() - killed_at
        last = await cancelled(url, workflow_id)
        await until_all(lambda: all(last in watcher.revisions for watcher in watchers))
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    gaps = sum(watcher.revisions != list(range(1, len(watcher.revisions) + 1)) for watcher in watchers)
    return {"sockets": count, "gaps": gaps, "all_back_s": round(back_s, 2)}


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


async def until_all(look: Callable[[], bool]) -> None:
    while not look():  # noqa: ASYNC110 - a thousand events would be no simpler
        await asyncio.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(prog="./run bench reconnect", description=__doc__)
    parser.add_argument("--sockets", type=int, default=1_000, help="how many (default: 1000)")
    count = parser.parse_args().sockets
    with temporary_folder() as folder:
        print(json.dumps(asyncio.run(measure(folder, count))))


if __name__ == "__main__":
    main()
