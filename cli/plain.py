"""Watching where no terminal is: a line per event, without colours, and what a view has to be able to do."""

import sys
from typing import Protocol, TextIO

from cli.frames import CLAIMED, Frame
from cli.progress import Progress, Step
from cli.steps import event_in_words, loss_in_words


class View(Protocol):
    """Where the progress is shown."""

    def heard(self, progress: Progress, frame: Frame) -> None:
        """The workflow stands so after this frame."""
        ...

    def notice(self, told: str) -> None:
        """Something about the connection."""
        ...


class PlainView:
    """A line per event. What is written meanwhile is left out: it comes whole at the end."""

    def __init__(self, lines: TextIO) -> None:
        self._lines = lines

    def heard(self, progress: Progress, frame: Frame) -> None:
        if frame.type == "event":
            if frame.event == CLAIMED and (loss := loss_in_words(progress.steps.get(frame.work, Step(frame.work)))):
                self._lines.write(f"{loss}\n")
            self._lines.write(f"{event_in_words(frame)}\n")
            self._lines.flush()

    def notice(self, told: str) -> None:
        sys.stderr.write(f"{told}\n")
        sys.stderr.flush()
