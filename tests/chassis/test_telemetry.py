"""Logs: lines that programs can read, which never quote what an exception quotes, and no floods."""

import json
import logging
from collections.abc import Generator
from typing import Any

import pytest
import structlog

from chassis.telemetry import Seldom, set_up_logs

SECRET = "sk-canary and the prompt"


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Generator[pytest.CaptureFixture[str]]:
    """What goes to standard error; the logs of the other tests are as before."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield capsys
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(told: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.readouterr().err.splitlines()]


def test_line_for_machines_is_one_object(told: pytest.CaptureFixture[str]) -> None:
    set_up_logs("writer", "info", "json")
    structlog.get_logger("runner").info("delivery", workflow_id="w", elapsed_ms=1.5)
    (line,) = lines(told)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "delivery",
        "level": "info",
        "service": "writer",
        "workflow_id": "w",
        "elapsed_ms": 1.5,
    }


def test_line_for_people_is_one_line(told: pytest.CaptureFixture[str]) -> None:
    set_up_logs("writer", "info", "text")
    structlog.get_logger().info("delivery", workflow_id="w")
    (line,) = told.readouterr().err.splitlines()
    assert "delivery" in line and "workflow_id=w" in line and "service=writer" in line


def test_lines_below_the_level_are_not_written(told: pytest.CaptureFixture[str]) -> None:
    set_up_logs("writer", "warning", "json")
    structlog.get_logger().info("delivery")
    logging.getLogger("library").info("chatter")
    assert lines(told) == []


def test_warnings_of_libraries_go_the_same_way(told: pytest.CaptureFixture[str]) -> None:
    set_up_logs("writer", "debug", "json")
    logging.getLogger("library").info("chatter")
    logging.getLogger("library").warning("careful")
    (line,) = lines(told)
    assert (line["event"], line["level"]) == ("careful", "warning")


def fail() -> None:
    try:
        int(SECRET)
    except ValueError as wrong:
        raise KeyError(SECRET) from wrong


@pytest.mark.parametrize("form", ["json", "text"])
def test_exception_is_told_by_place_not_words(told: pytest.CaptureFixture[str], form: Any) -> None:
    set_up_logs("writer", "info", form)
    try:
        fail()
    except KeyError:
        structlog.get_logger().exception("unexpected")
        logging.getLogger("library").exception("unexpected")
    text = told.readouterr().err
    assert text.count("unexpected") == 2 and text.count("KeyError") >= 2 and text.count("ValueError") >= 2
    assert "in fail" in text and SECRET not in text


class TestSeldom:
    def test_same_cause_passes_once_in_a_while(self) -> None:
        seldom = Seldom(every_s=10)
        assert [now for now in (0, 5, 9.9, 10, 15, 25) if seldom.allows("full", now)] == [0, 10, 25]

    def test_causes_do_not_silence_each_other(self) -> None:
        seldom = Seldom()
        assert seldom.allows("full", 0) and seldom.allows("gone", 0)

    def test_memory_of_causes_is_bounded(self) -> None:
        seldom = Seldom()
        for number in range(10_000):
            assert seldom.allows(str(number), 0)
        assert len(seldom._last) <= 1_001  # pyright: ignore[reportPrivateUsage]

    def test_end_is_told_where_the_beginning_was(self) -> None:
        seldom = Seldom()
        assert not seldom.ends("gone")
        assert seldom.allows("gone", 0) and seldom.ends("gone") and not seldom.ends("gone")

    def test_what_comes_back_soon_is_told_once_it_lasts(self) -> None:
        seldom = Seldom(every_s=60, again_s=10)
        assert seldom.allows("gone", 0) and seldom.ends("gone")
        assert [now for now in (1, 5, 10, 15, 69, 70) if seldom.allows("gone", now)] == [10, 70]

    def test_what_comes_and_goes_floods_nothing(self) -> None:
        seldom, told = Seldom(again_s=10), 0
        for tenth in range(600):
            told += seldom.allows("gone", tenth / 10)
            told += seldom.ends("gone")
        assert told == 12
