"""Progress of what takes long: a bar for people at a terminal, a line for each tenth elsewhere."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

Told = Callable[[int, int], None]
"""Is told how many of how many are done."""


@contextmanager
def shown(what: str) -> Generator[Told]:
    """Shows on standard error how far `what` has come."""
    if sys.stderr.isatty():
        with _bar() as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, of: bar.update(task, completed=done, total=of)
    else:
        yield _lines(what)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _lines(what: str) -> Told:
    said = -1

    def tell(done: int, of: int) -> None:
        nonlocal said
        tenth = 10 * done // max(of, 1)
        if tenth > said:
            said = tenth
            print(f"{what}: {10 * tenth} % ({done:,} of {of:,})", file=sys.stderr, flush=True)  # noqa: T201

    return tell
