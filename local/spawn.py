"""Child processes that never outlive their parent: how one is started, heard, and ended with all it started."""

import asyncio
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Loaded here, because a fresh fork should load nothing.
LIBC: "ctypes.CDLL | None" = ctypes.CDLL(None) if sys.platform == "linux" else None
LINE_BYTES_MAX = 16 * 1024
GONE_WITHIN_S = 5.0


@dataclass(frozen=True)
class Account:
    """The user a child runs as, where that is not ours."""

    user: int
    group: int


@dataclass(frozen=True)
class Launch:
    """One start of a program: what to run, with which environment, as whom, from where, with what in its hands."""

    command: Sequence[str | Path]
    environment: Mapping[str, str]
    account: Account | None = None
    folder: Path = Path("/")
    files: Sequence[int] = ()
    """The open files that it is handed, under the numbers that they have here."""


async def spawn(
    launch: Launch, hear: Callable[[str], None], orphan_signal: int = signal.SIGKILL
) -> "tuple[asyncio.subprocess.Process, Lines]":
    """Starts the child in a session of its own, so that Ctrl-C in the terminal reaches only the supervisor.

    The kernel ties the child to the *thread* that calls this: it must live as long as the child shall.
    """
    # Our own pipe: with asyncio's, `wait()` would last until every grandchild has closed its end.
    read_end, write_end = os.pipe()
    try:
        account = launch.account
        process = await asyncio.create_subprocess_exec(
            *launch.command,
            env=launch.environment,
            cwd=launch.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            pass_fds=launch.files,
            start_new_session=True,
            user=account.user if account else None,
            group=account.group if account else None,
            extra_groups=[] if account else None,
            preexec_fn=tie_to_parent(orphan_signal),
        )
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    return process, Lines(read_end, hear)


def tie_to_parent(orphan_signal: int) -> Callable[[], None]:
    """What a fork does last before it becomes the child; after the change of user, which would undo it."""
    parent = os.getpid()

    def tie() -> None:
        if LIBC is not None:
            LIBC.prctl(PR_SET_PDEATHSIG, orphan_signal)
            if os.getppid() != parent:  # it died before the tie was made
                os._exit(1)

    return tie


class Lines:
    """Hears a child: each line it writes, from the first to the last. A line too long is heard in parts."""

    def __init__(self, file: int, hear: Callable[[str], None]) -> None:
        self._file = file
        self._hear = hear
        self._rest = b""
        self._ended = asyncio.Event()
        os.set_blocking(file, False)
        asyncio.get_running_loop().add_reader(file, self._read)

    async def end(self) -> None:
        """Hears what is still on its way; doesn't wait for strangers who keep the pipe open."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._ended.wait()
        self._close()

    def _read(self) -> None:
        arrived = os.read(self._file, 65_536)
        *lines, self._rest = (self._rest + arrived).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX or not arrived:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            if line:
                self._hear(line.decode(errors="replace").rstrip("\r"))
        if not arrived:
            self._close()

    def _close(self) -> None:
        if not self._ended.is_set():
            self._ended.set()
            asyncio.get_running_loop().remove_reader(self._file)
            os.close(self._file)


def kill_group(leader: int) -> None:
    """Ends a child and whatever it has started in its session."""
    with suppress(ProcessLookupError, PermissionError):  # macOS says the second of a group of zombies
        os.killpg(leader, signal.SIGKILL)


def note_processes(register: Path, processes: Mapping[str, int]) -> None:
    """Writes down who runs: name, pid and time of birth, which tells a child from a stranger."""
    known: dict[str, tuple[int, float]] = {}
    for name, pid in processes.items():
        with suppress(psutil.NoSuchProcess):
            known[name] = (pid, psutil.Process(pid).create_time())
    with suppress(OSError):  # a full disk must not stop the supervisor
        draft = register.with_suffix(".new")
        draft.write_text(json.dumps(known))
        draft.replace(register)


def noted_processes(register: Path) -> dict[str, tuple[int, float]]:
    try:
        return json.loads(register.read_text())
    except (OSError, ValueError):
        return {}


def end_survivors(register: Path) -> None:
    """Ends the children of a supervisor that was killed, where the kernel did not (macOS) or has not yet."""
    survivors: list[psutil.Process] = []
    for pid, born in noted_processes(register).values():
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if abs(process.create_time() - born) < 1:  # the clock may have been set a little since
                kill_group(pid)
                survivors.append(process)
    wait_until_gone(survivors, GONE_WITHIN_S)


def wait_until_gone(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Returns those that are still alive then. A zombie counts as gone: in a container often nobody reaps it."""
    until = time.monotonic() + seconds
    while (alive := [process for process in processes if is_alive(process)]) and time.monotonic() < until:
        time.sleep(0.02)
    return alive


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
