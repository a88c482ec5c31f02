"""The command as users and scripts run it: in a process of its own, with or without a terminal."""

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


class Ended(NamedTuple):
    """How it ended, and what it said."""

    code: int
    out: str
    err: str


class Command:
    """`./run …` with this environment, in this folder."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self._environment = {**known, "PYTHONPATH": str(ROOT), "TZ": "UTC", "LANG": "C.UTF-8", **environment}
        self._folder = folder

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "cli", *arguments],
            cwd=self._folder,
            env={**self._environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
        """Waits for its end. Standard output is no terminal."""
        process = self.start(*arguments, environment=environment)
        out, err = process.communicate(timeout=PATIENCE_S)
        return Ended(process.returncode, out, err)

    def in_terminal(
        self, *arguments: str, interrupt_at: str | None = None, columns: int = 80, kind: str = "xterm-256color"
    ) -> Ended:
        """In a terminal, whose whole output comes back. Ctrl-C is pressed as soon as these words are seen."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, columns))
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cli", *arguments],
            cwd=self._folder,
            env={**self._environment, "TERM": kind},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        shown = b""
        until = time.monotonic() + PATIENCE_S
        with suppress(OSError):  # the terminal's other end is closed: it has ended
            while time.monotonic() < until and (piece := os.read(ours, 65536)):
                shown += piece
                if interrupt_at and interrupt_at.encode() in shown:
                    interrupt_at = None
                    process.send_signal(signal.SIGINT)
        os.close(ours)
        return Ended(process.wait(PATIENCE_S), shown.decode(), "")


def seen(output: str) -> str:
    """What was written to a terminal, without the commands to the terminal."""
    return ESCAPES.sub("", output)
