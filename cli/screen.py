"""Watching in a terminal: the steps, the text that is being written and the time, drawn again and again in one place.

The words of others go through `Text` alone: rich would take square brackets in a plain string for its markup.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli.frames import ATTEMPT_FAILED, CLAIMED, Frame
from cli.progress import Progress, State, Step
from cli.steps import MARKS, failure_in_words, loss_in_words, time_passed, words_of
from cli.wording import name_of

REFRESH_PER_SECOND = 8

TEXT_LINES_MAX, TEXT_LINES_MIN = 10, 3
TOPIC_LENGTH_MAX = 300

STYLES = {
    State.WAITING: "dim",
    State.WORKING: "cyan",
    State.RETRYING: "yellow",
    State.DONE: "green",
    State.GIVEN_UP: "red",
    State.STOPPED: "dim",
}


class Screen:
    """The workflow as it stands when it is drawn."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.progress = Progress()
        self.has_ended = False
        self._now = now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        progress, now = self.progress, self._now()
        if progress.workflow_id is None:
            yield Text("Waiting for the first word of the workflow …", style="dim")
            return
        yield _heading(progress, now)
        yield ""
        steps = _steps(progress, now)
        yield steps
        if progress.writing and not self.has_ended:
            used = len(console.render_lines(steps, options)) + 9
            lines = max(TEXT_LINES_MIN, min(TEXT_LINES_MAX, options.size.height - used))
            yield _written(progress.writing, console, options, lines)
        if not self.has_ended:
            yield ""  # at the end of a full line, the ^C that a terminal echoes would begin another one


class LiveView:
    """The screen, kept up to date. Failed attempts stay in the lines above it."""

    def __init__(self, screen: Screen, live: Live) -> None:
        self._screen, self._live = screen, live

    def heard(self, progress: Progress, frame: Frame) -> None:
        self._screen.progress = progress
        if frame.type != "event" or frame.work not in progress.steps:
            return
        if frame.event == ATTEMPT_FAILED:
            self.notice(failure_in_words(frame))
        elif frame.event == CLAIMED and (loss := loss_in_words(progress.steps[frame.work])):
            self.notice(loss)

    def notice(self, told: str) -> None:
        self._live.console.print(Text(told, style="yellow"))


@contextmanager
def live_view(console: Console) -> Generator[LiveView]:
    """Draws until the work with it has ended; the steps stay, the text that was being written goes."""
    screen = Screen()
    with Live(screen, console=console, refresh_per_second=REFRESH_PER_SECOND) as live:
        try:
            yield LiveView(screen, live)
        finally:
            screen.has_ended = True


def _heading(progress: Progress, now: datetime) -> Table:
    heading = Table.grid(expand=True, padding=(0, 1))
    heading.add_column(ratio=1)
    heading.add_column(justify="right", no_wrap=True)
    topic = Text(progress.topic, style="bold")
    topic.truncate(TOPIC_LENGTH_MAX, overflow="ellipsis")
    heading.add_row(topic, Text(time_passed(progress, now)))
    heading.add_row(Text(progress.workflow_id or "", style="dim"), "")
    return heading


def _steps(progress: Progress, now: datetime) -> Table:
    steps = Table.grid(padding=(0, 1))
    for step in progress.steps.values():
        style = STYLES[step.state]
        steps.add_row(
            Text(MARKS[step.state], style=style), Text(name_of(step.work)), Text(words_of(step, now), style=style)
        )
    return steps


def _written(step: Step, console: Console, options: ConsoleOptions, lines: int) -> Panel:
    """The last lines of the text that is being written, in a box that keeps its size."""
    wrapped = Text(step.text.expandtabs(4)).wrap(console, options.max_width - 4)
    shown = [line.plain for line in wrapped[-lines:]]
    text = Text("\n".join([*shown, *[""] * (lines - len(shown))]))
    return Panel(text, title=Text(name_of(step.work)), title_align="left", border_style="dim")
