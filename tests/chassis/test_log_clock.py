"""The log's clock: a machine whose own is wrong says the same time as all others, and a right one is left alone."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.typing import EventDict

from chassis import log_clock
from chassis.connection import Connection, NoAnswer
from chassis.event_store import utc_now
from chassis.log_clock import TOLERATED, LogClock
from chassis.standing import consumer_info
from contracts.services import RESEARCH, WRITER
from tests.chassis.plant import PATIENCE_S, Plant

HOUR = timedelta(hours=1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DURATIONS = st.timedeltas(timedelta(), timedelta(seconds=5))


def at_noon(*, off: timedelta = timedelta()) -> LogClock:
    """Of a machine whose own clock is off by so much, at noon."""
    return LogClock(lambda: NOON + off)


@given(off=st.timedeltas(-HOUR, HOUR), there=DURATIONS, back=DURATIONS)
def test_time_is_wrong_by_no_more_than_the_answer_took_and_what_is_tolerated(
    off: timedelta, there: timedelta, back: timedelta
) -> None:
    clock = at_noon(off=off)
    clock.hear(NOON - back, asked_at=NOON + off - there - back, took=there + back)
    assert abs(clock() - NOON) <= TOLERATED + there + back


@given(there=DURATIONS, back=DURATIONS)
def test_clock_that_is_right_is_left_alone_however_long_an_answer_takes(there: timedelta, back: timedelta) -> None:
    clock = at_noon()
    clock.hear(NOON - back, asked_at=NOON - there - back, took=there + back)
    assert clock() == NOON and clock.trouble() is None


def test_clock_that_is_set_right_is_not_corrected_any_more(lines: list[EventDict]) -> None:
    off = HOUR
    clock = LogClock(lambda: NOON + off)
    for _ in range(2):  # what lasts is told once
        clock.hear(NOON, asked_at=NOON + HOUR, took=timedelta())
    assert clock() == NOON
    assert clock.trouble() == "this machine's clock is 3600 s ahead of the log's, by which this process goes instead"
    off = timedelta()
    clock.hear(NOON, asked_at=NOON, took=timedelta())
    assert clock() == NOON and clock.trouble() is None
    assert [line["event"] for line in lines] == ["wrong clock", "right clock"]


@pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "behind"])
async def test_server_is_asked_before_anything_is_done(plant: Plant, off: timedelta) -> None:
    clock = LogClock(lambda: utc_now() + off)
    async with clock.watched(await plant.connect(WRITER), consumer_info(WRITER)):
        assert abs(clock() - utc_now()) < HOUR / 2
        assert clock.trouble() is not None


async def test_refusal_to_tell_changes_nothing_and_is_an_answer(plant: Plant) -> None:
    clock = LogClock(lambda: utc_now() + HOUR)
    await clock.look(await plant.connect(WRITER), consumer_info(RESEARCH))
    assert clock.trouble() is None and clock.answered.is_set()


class Silent:
    """A connection whose first questions get lost."""

    def __init__(self, lost: int) -> None:
        self._lost = lost

    async def ask(self, subject: str, payload: bytes, *, timeout_s: float) -> SimpleNamespace:
        self._lost -= 1
        if self._lost >= 0:
            raise NoAnswer("late")
        return SimpleNamespace(data=json.dumps({"ts": NOON.isoformat()}))


async def test_server_that_does_not_answer_is_asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_clock, "AGAIN_S", 0.0)
    clock = at_noon(off=HOUR)
    async with asyncio.timeout(PATIENCE_S), clock.watched(cast(Connection, Silent(3)), "the time"):
        assert not clock.answered.is_set()
        await clock.answered.wait()
        assert abs(clock() - NOON) <= TOLERATED
