"""Deltas on real NATS: few messages, whose offsets show where a text belongs, and now and then the whole text."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from nats.aio.msg import Msg

from chassis import deltas
from chassis.deltas import TEXT_CHARACTERS_MAX, delta_streams
from chassis.runner import Say
from contracts import subjects
from contracts.services import GATEWAY, WRITER
from contracts.subjects import WorkflowKey
from tests.chassis.plant import Plant, claimed


class Clock:
    """Time as the test sets it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


class Watcher:
    """What a gateway hears of one workflow, and the stage that streams to it."""

    def __init__(self, plant: Plant, key: WorkflowKey) -> None:
        self._plant, self._key = plant, key
        self.heard: list[dict[str, Any]] = []

    async def start(self) -> None:
        self._gateway = await self._plant.connect(GATEWAY)
        await self._gateway.subscribe(subjects.live(self._key), self._hear)
        await self._gateway.flush()
        self._stage = await self._plant.connect(WRITER)

    def stream(self, attempt: int = 1) -> Say:
        return delta_streams(self._stage, WRITER)(self._key, claimed(attempt))

    async def all(self) -> list[dict[str, Any]]:
        """All that was sent until now."""
        await self._stage.flush()
        await self._gateway.flush()
        return self.heard

    async def disconnect(self) -> None:
        await self._stage.close()

    async def _hear(self, message: Msg) -> None:
        assert subjects.is_delta(message.subject)
        self.heard.append(json.loads(message.data))


@pytest.fixture
async def watcher(plant: Plant, key: WorkflowKey) -> AsyncGenerator[Watcher]:
    watcher = Watcher(plant, key)
    await watcher.start()
    yield watcher


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(deltas, "time", clock)
    return clock


async def test_first_piece_is_sent_at_once(watcher: Watcher) -> None:
    await watcher.stream()("Once")
    assert await watcher.all() == [{"work": "blog", "run": 1, "attempt": 1, "offset": 0, "text": "Once"}]


async def test_pieces_within_a_moment_go_together(watcher: Watcher, clock: Clock) -> None:
    say = watcher.stream()
    for tenths in range(40):
        clock.now = 1_000 + tenths / 40
        await say("12345")
    heard = await watcher.all()
    assert 8 <= len(heard) <= 10  # in one second
    assert sum(len(delta["text"]) for delta in heard) > 150


async def test_each_piece_follows_the_one_before(watcher: Watcher, clock: Clock) -> None:
    say = watcher.stream()
    for number in range(30):
        clock.now += 0.04
        await say(f"piece {number} 🍵 ")
    text = ""
    for delta in await watcher.all():
        assert delta["offset"] == len(text)
        text += delta["text"]
    assert text.startswith("piece 0 🍵 piece 1 🍵 ")


async def test_whole_text_comes_every_two_seconds(watcher: Watcher, clock: Clock) -> None:
    say, written = watcher.stream(), ""
    for number in range(50):
        clock.now += 0.1
        written += f"piece {number} "
        await say(f"piece {number} ")
    wholes = [delta for delta in await watcher.all() if delta["offset"] == 0]
    assert len(wholes) == 3  # in five seconds, the first one included
    assert all(written.startswith(whole["text"]) for whole in wholes)


async def test_new_attempt_begins_anew(watcher: Watcher) -> None:
    await watcher.stream(1)("Once")
    await watcher.stream(2)("Twice")
    assert [(delta["attempt"], delta["offset"]) for delta in await watcher.all()] == [(1, 0), (2, 0)]


async def test_what_is_too_long_is_left_to_the_event(watcher: Watcher, clock: Clock) -> None:
    say = watcher.stream()
    for _ in range(3):
        clock.now += 5
        await say("🍵" * (TEXT_CHARACTERS_MAX - 1))
    first, second = await watcher.all()
    assert [len(first["text"]), len(second["text"])] == [TEXT_CHARACTERS_MAX - 1, TEXT_CHARACTERS_MAX]


async def test_half_a_character_is_no_failure_of_the_work(watcher: Watcher) -> None:
    await watcher.stream()("\ud83d")
    assert [delta["text"] for delta in await watcher.all()] == ["\ufffd"]


async def test_lost_connection_is_no_failure_of_the_work(watcher: Watcher) -> None:
    say = watcher.stream()
    await watcher.disconnect()
    async with asyncio.timeout(2):
        await say("Once")
