"""What a terminal shows of a workflow at one moment, whatever its size."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from cli.frames import frame_of
from cli.progress import evolve
from cli.screen import Screen
from tests.cli.given import ID, History, Json, delta

NOW = datetime(2026, 11, 22, 10, 0, 12, tzinfo=UTC)
PLATFORMS = ("linkedin", "x", "facebook", "instagram")


def screen(*frames: Json) -> Screen:
    shown = Screen(lambda: NOW)
    for frame in frames:
        shown.progress = evolve(shown.progress, frame_of(frame))
    return shown


def drawn(shown: Screen, *, columns: int = 80, rows: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=columns, height=rows, force_terminal=False, markup=False)
    with console.capture() as caught:
        console.print(shown)
    return caught.get().split("\n")[:-1]


def writing(text: str, *, topic: str = "The history of tea") -> Screen:
    history = History().requested(*PLATFORMS, topic=topic, research=True).claimed("blog")
    return screen(*history.events, delta(text))


def test_steps_time_and_id_are_shown() -> None:
    lines = drawn(screen(*History().requested().claimed("blog").events))
    assert lines[0].split() == ["The", "history", "of", "tea", "11", "s"]
    assert lines[1].strip() == ID
    assert [line.strip() for line in lines[3:-1]] == [
        "▸ Blog post     working, 10 s",
        "· LinkedIn post waiting",
        "· Picture       waiting",
    ]


def test_the_last_lines_of_the_text_are_shown() -> None:
    text = "\n".join(f"line {number}" for number in range(200))
    lines = drawn(writing(text))
    assert any("line 199" in line for line in lines)
    assert not any("line 100" in line for line in lines)


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("text", ["Tea", "Tea came to Europe. " * 300, "一" * 4000, "x" * 4000, "\t\n" * 100])
def test_the_whole_fits_into_a_terminal(columns: int, text: str) -> None:
    lines = drawn(writing(text), columns=columns)
    assert len(lines) <= 24


def test_the_box_keeps_its_size_while_the_text_grows() -> None:
    assert len(drawn(writing("Tea"))) == len(drawn(writing("Tea came to Europe. " * 100)))


def test_the_cursor_never_rests_behind_a_full_line() -> None:
    """A terminal echoes ^C there; behind a full line that would begin another one, and all be drawn a line too low."""
    failed = screen(*History().requested().claimed("blog").failed_attempt("blog", why="so busy " * 20).events)
    for shown in (writing("Tea"), failed):
        assert drawn(shown)[-1] == ""


def test_the_text_goes_when_it_has_ended() -> None:
    shown = writing("Tea came")
    shown.has_ended = True
    assert not any("Tea came" in line for line in drawn(shown))


def test_brackets_of_others_are_no_markup() -> None:
    lines = "\n".join(drawn(writing("[bold]now[/bold] [/]", topic="[red]tea[/red]")))
    assert "[bold]now[/bold] [/]" in lines
    assert "[red]tea[/red]" in lines


def test_before_the_first_event_it_says_that_it_waits() -> None:
    assert drawn(Screen()) == ["Waiting for the first word of the workflow …"]
