"""Where words go: the terminal, which must never hold anybody up, and log files, which must never fill a disk."""

import queue
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TextIO

LINES_WAITING_MAX = 10_000
LOG_BYTES_MAX = 10 * 1024 * 1024
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
OWN_NAME = "pressroom"


class Console:
    """Prints from a thread of its own: a terminal that nobody reads costs lines, never a stalled supervisor."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._coloured = self._stream.isatty()
        self._colours: dict[str, int] = {}
        self._waiting: queue.Queue[str | None] = queue.Queue(LINES_WAITING_MAX)
        self._printer = threading.Thread(target=self._print_all, name="console", daemon=True)
        self._printer.start()

    def say(self, text: str) -> None:
        """The supervisor's own words."""
        self.show(OWN_NAME, text)

    def show(self, name: str, text: str) -> None:
        with suppress(queue.Full):  # the line is still in its log file
            self._waiting.put_nowait(f"{self._prefix(name)} {text}\n")

    def close(self) -> None:
        """Waits a moment for the last lines."""
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._printer.join(timeout=1)

    def _print_all(self) -> None:
        while (line := self._waiting.get()) is not None:
            with suppress(OSError, ValueError):  # the reader went away; the work goes on
                self._stream.write(line)
                self._stream.flush()

    def _prefix(self, name: str) -> str:
        padded = f"{name:<13} |"
        if not self._coloured:
            return padded
        return f"\x1b[{self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])}m{padded}\x1b[0m"


class LogFile:
    """Everything one child wrote: the newest part, and one older part of the same bounded size."""

    def __init__(self, path: Path, bytes_max: int = LOG_BYTES_MAX) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._file = path.open("ab", buffering=0)

    def write(self, line: str) -> None:
        with suppress(OSError):  # a full disk must not stop the supervisor
            self._file.write(line.encode() + b"\n")
            if self._file.tell() > self._bytes_max:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
                full, self._file = self._file, self._path.open("ab", buffering=0)
                full.close()

    def close(self) -> None:
        self._file.close()
