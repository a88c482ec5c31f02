"""What tests listen to instead of waiting for seconds: the words of a supervisor, here or in another process."""

import asyncio
import io
import os
import queue
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from local.console import Console
from local.postgres import nobody, succeeds
from local.spawn import Account, wait_until_gone

PATIENCE_S = 30.0  # far more than anything takes; a test that reaches it has failed


class Words(Console):
    """A console that remembers, and that one can wait at."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.heard: list[str] = []
        self._news = asyncio.Event()

    def show(self, name: str, text: str) -> None:
        self.heard.append(f"{name} | {text}")
        self._news.set()

    def count(self, part: str) -> int:
        return sum(part in line for line in self.heard)

    async def until(self, part: str, times: int = 1) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.count(part) < times:
                self._news.clear()
                await self._news.wait()


class Process:
    """Another process and what it says, line by line."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str], account: Account | None) -> None:
        self._process = subprocess.Popen(
            command,
            cwd="/",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            user=account.user if account else None,
            group=account.group if account else None,
            extra_groups=[] if account else None,
        )
        self.pid = self._process.pid
        self.said: list[str] = []
        self.output: list[str] = []
        self._news: queue.Queue[str | None] = queue.Queue()
        self._streams = 2
        self._readers = [
            threading.Thread(target=self._read, args=(stream, kept), daemon=True)
            for stream, kept in ((self._process.stderr, self.said), (self._process.stdout, self.output))
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.signal(signal.SIGTERM)
        self.wait()

    def until(self, part: str) -> str:
        """The next line, on either stream, with these words."""
        while self._streams:
            line = self._news.get(timeout=PATIENCE_S)
            if line is None:  # one of the streams has ended, and there may be more on the other
                self._streams -= 1
            elif part in line:
                return line
        raise AssertionError(f"It ended without saying {part!r}:\n" + "\n".join(self.said + self.output))

    def signal(self, number: int) -> None:
        if self._process.poll() is None:
            os.kill(self.pid, number)

    def wait(self) -> int:
        ended = self._process.wait(timeout=PATIENCE_S)
        for reader in self._readers:
            reader.join(timeout=PATIENCE_S)
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()
        return ended

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.pid).children(recursive=True)

    def _read(self, stream: "io.TextIOWrapper", kept: list[str]) -> None:
        for line in stream:
            kept.append(line.rstrip("\n"))
            self._news.put(line.rstrip("\n"))
        self._news.put(None)


def survivors(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that are still there when all had time enough to end."""
    return wait_until_gone(processes, PATIENCE_S)


def python(
    *arguments: str | Path,
    path: Sequence[Path],
    environment: Mapping[str, str] | None = None,
    account: Account | None = None,
    executable: str | Path = sys.executable,
) -> Process:
    told = {"PATH": os.environ["PATH"], **(environment or {}), "PYTHONPATH": ":".join(map(str, path))}
    return Process([executable, "-P", *arguments], told, account)


def ordinary_python(folder: Path) -> tuple[Path | None, Account | None]:
    """A Python for an ordinary user, and who that is; None where root's Python is out of everybody's reach."""
    if os.geteuid() != 0:
        return Path(sys.executable), None
    account = nobody()
    if succeeds(account, sys.executable, "-c", "import minio"):
        return Path(sys.executable), account
    return borrowed_python(folder / "python", account), account


def borrowed_python(folder: Path, account: Account) -> Path | None:
    """The system's Python with our packages, where it is of the same version."""
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib"))
    for server in ("nats-server", "weed"):
        (folder / "bin" / server).symlink_to(Path(sys.executable).with_name(server))
    same = f"import sys, minio; assert sys.version_info[:2] == {tuple(sys.version_info[:2])}"
    return folder / "bin" / "python" if succeeds(account, folder / "bin" / "python", "-c", same) else None
