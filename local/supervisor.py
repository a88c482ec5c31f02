"""Keeps programs running: starts them, waits until each answers, restarts the dead, stops all in reverse order."""

import asyncio
import os
import re
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from local.console import Console, LogFile
from local.spawn import Launch, end_survivors, kill_group, note_processes, spawn
from local.state import CannotStart

DELAY_FIRST_S, DELAY_MAX_S = 0.2, 5.0
LIVED_WELL_S = 10.0  # a process that lived this long is restarted with the first delay again
DEATHS_BEFORE_READY_MAX = 5
READY_WITHIN_S = 60.0  # usual is 1 s; this is a slow disk under load, at the first start
ANSWER_WITHIN_S = 5.0
POLL_S = 0.03
CARE_S = 1.0  # between two looks at whether one that runs has to be started anew
REGISTER = "processes.json"
LAST_LINES = 20  # of a child that cannot start, shown with the error


class Program(ABC):
    """What to keep running, and how to tell that it answers."""

    name: str
    stop_signal = signal.SIGTERM
    orphan_signal = signal.SIGKILL  # what it gets when the supervisor itself is killed
    grace_s = 5.0
    noteworthy: re.Pattern[str] | None = None  # the lines that are also shown; None: each
    said_of_it = "answers"  # when it does

    @abstractmethod
    def launch(self, *, settled: bool) -> Launch:
        """Prepares one start, in a thread. Settled: it has answered before, so others know its port by now."""

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it does real work now."""

    def hear(self, line: str) -> None:  # noqa: B027 - most need not listen to themselves
        """Is told each line that its process writes."""

    def ailment(self) -> str | None:
        """Why a process that runs has to be started anew to be of use, in words; None where it has not."""
        return None

    def tidy(self) -> None:  # noqa: B027 - most leave nothing
        """Clears away what a process leaves behind when it ends."""


class Supervisor:
    """Batches of children: those of a batch start side by side, the batches stop in reverse order."""

    def __init__(self, directory: Path, console: Console) -> None:
        self._logs = directory / "logs"
        self._register = directory / REGISTER
        self._console = console
        self._batches: list[list[Child]] = []

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(end_survivors, self._register)
        return self

    async def __aexit__(self, *_: object) -> None:
        for batch in reversed(self._batches):
            await asyncio.gather(*(child.stop() for child in batch))
        self._register.unlink(missing_ok=True)

    async def start(self, *programs: Program) -> None:
        """Returns when each answers; raises CannotStart for the first that cannot."""
        batch = [Child(program, self._logs, self._console, self._note_processes) for program in programs]
        self._batches.append(batch)
        await side_by_side(*(child.start() for child in batch))

    async def answered(self, name: str) -> None:
        """Waits until this child answers, whose start is under way; for ever, where that start fails."""
        (child,) = (child for child in self._children() if child.name == name)
        await child.until_answered()

    async def run_once(self, name: str, launch: Launch) -> None:
        """Runs a step that must succeed before the start goes on; raises CannotStart where it doesn't."""
        process, lines = await spawn(launch, lambda line: self._console.show(name, line))
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                ended = await process.wait()
        except TimeoutError:
            raise CannotStart(f"The step {name} did not end within {READY_WITHIN_S:g} s.") from None
        finally:
            kill_group(process.pid)
            await process.wait()
            await lines.end()
        if ended:
            raise CannotStart(f"The step {name} {in_words(ended)}; its own words are above.")

    def kill(self) -> None:
        """For the impatient, while the orderly stop is under way."""
        for child in self._children():
            child.kill()

    def _children(self) -> "list[Child]":
        return [child for batch in self._batches for child in batch]

    def _note_processes(self) -> None:
        note_processes(self._register, {child.name: child.pid for child in self._children() if child.pid is not None})


class Child:
    """One program, kept running from start to stop, whatever happens to its processes."""

    def __init__(self, program: Program, logs: Path, console: Console, note: Callable[[], None]) -> None:
        self.name = program.name
        self._program = program
        self._console = console
        self._note = note
        self._log = LogFile(logs / f"{program.name}.log")
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._process: asyncio.subprocess.Process | None = None
        self._answered = asyncio.Event()
        self._stop_asked = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        self._console.say(f"starting {self.name} …")
        self._keeper = asyncio.create_task(self._keep_running())
        answered = asyncio.create_task(self.until_answered())
        try:
            await asyncio.wait({self._keeper, answered}, timeout=READY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answered.cancel()
        if self._keeper.done():
            await self._keeper
        elif not self._answered.is_set():
            raise CannotStart(f"{self.name} did not answer within {READY_WITHIN_S:g} s.{quoted(self._last_lines)}")

    async def until_answered(self) -> None:
        """Returns when it has answered for the first time."""
        await self._answered.wait()

    async def stop(self) -> None:
        """Asks it to end, and makes it when its grace is over."""
        self._stop_asked.set()
        if self._keeper is not None:
            if self.pid is not None:
                with suppress(ProcessLookupError):  # asyncio's own send_signal can reap a child that just died
                    os.kill(self.pid, self._program.stop_signal)
            await asyncio.wait({self._keeper}, timeout=self._program.grace_s)
            if self.pid is not None:
                self._console.say(f"{self.name} has not stopped within {self._program.grace_s:g} s; it is killed")
                self.kill()
            await asyncio.wait({self._keeper})
        self._log.close()

    def kill(self) -> None:
        self._stop_asked.set()
        if self.pid is not None:
            kill_group(self.pid)

    async def _keep_running(self) -> None:
        delay_s, deaths = DELAY_FIRST_S, 0
        while not self._stop_asked.is_set():
            began = time.monotonic()
            how = await self._live()
            lived_s, deaths = time.monotonic() - began, deaths + 1
            if self._stop_asked.is_set():
                break
            if not self._answered.is_set() and deaths == DEATHS_BEFORE_READY_MAX:
                raise CannotStart(f"{self.name} {how}, {deaths} times in a row.{quoted(self._last_lines)}")
            if lived_s >= LIVED_WELL_S:
                delay_s = DELAY_FIRST_S
            self._console.say(f"{self.name} {how} after {lived_s:.1f} s; it is started again in {delay_s:g} s")
            await self._pause(delay_s)
            delay_s = min(delay_s * 2, DELAY_MAX_S)

    async def _live(self) -> str:
        """One process from its birth to its death; says how it ended."""
        try:
            launch = await asyncio.to_thread(self._program.launch, settled=self._answered.is_set())
            if self._stop_asked.is_set():
                return "was not wanted any more"
            self._process, lines = await spawn(launch, self._hear, self._program.orphan_signal)
        except (OSError, subprocess.SubprocessError, CannotStart) as error:
            return f"could not be started ({error})"
        self._note()
        if self._stop_asked.is_set():  # between the two lines above
            kill_group(self._process.pid)
        answering, caring = (
            asyncio.create_task(self._await_answer()),
            asyncio.create_task(self._care(self._process.pid)),
        )
        ended = await self._process.wait()
        answering.cancel()
        caring.cancel()
        kill_group(self._process.pid)
        await lines.end()
        await asyncio.to_thread(self._program.tidy)
        return in_words(ended)

    async def _await_answer(self) -> None:
        began = time.monotonic()
        while not await self._answers():
            await asyncio.sleep(POLL_S)  # another process sets no event of ours
            if self._stop_asked.is_set():
                return
        again = " again" if self._answered.is_set() else ""
        self._console.say(f"{self.name} {self._program.said_of_it}{again} ({time.monotonic() - began:.1f} s)")
        self._answered.set()

    async def _care(self, pid: int) -> None:
        """Ends a process that no waiting helps: the next one is started in its place."""
        while not self._stop_asked.is_set():
            if ailment := await asyncio.to_thread(self._program.ailment):
                self._console.say(f"{self.name} is started anew: {ailment}")
                with suppress(ProcessLookupError):
                    os.kill(pid, self._program.stop_signal)
                return
            await self._pause(CARE_S)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._program.answers()
        except TimeoutError:
            return False

    def _hear(self, line: str) -> None:
        self._log.write(line)
        self._last_lines.append(line)
        self._program.hear(line)
        if self._program.noteworthy is None or self._program.noteworthy.search(line):
            self._console.show(self.name, line)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop_asked.wait()


async def side_by_side(*tasks: Coroutine[Any, Any, None]) -> None:
    """Runs them at once; the first failure is raised and ends the waiting for the others."""
    running = [asyncio.ensure_future(task) for task in tasks]
    try:
        await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)


def in_words(ended: int) -> str:
    return f"was killed by {signal.Signals(-ended).name}" if ended < 0 else f"ended with {ended}"


def quoted(lines: deque[str]) -> str:
    return " Its last words:\n" + "\n".join(f"    {line}" for line in lines) if lines else ""
