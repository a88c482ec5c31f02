"""Health: what a process answers about itself, over HTTP."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest

from chassis.health import TROUBLE_LASTS_S, Health, Queue, Trouble, served
from tests.waiting import until

Get = Callable[[str], Awaitable[tuple[int, Any]]]


class Parts:
    """What is wrong with the parts of the process."""

    nats: str | None = None
    consumer: str | None = None


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
def health(parts: Parts) -> Health:
    return Health(nats=lambda: parts.nats, consumer=lambda: parts.consumer)


@pytest.fixture
async def get(health: Health) -> AsyncGenerator[Get]:
    """Asks a real server."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with served(health, port), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

        async def answers() -> bool:
            with suppress(httpx.ConnectError):
                return (await client.get("/health/live")).status_code == 200
            return False

        async def get(path: str) -> tuple[int, Any]:
            answer = await client.get(path)
            return answer.status_code, json.loads(answer.text)

        await until(answers, "the health is served")
        yield get


async def test_everything_in_order_is_ready(get: Get) -> None:
    assert await get("/health/ready") == (200, {"status": "ok", "parts": {"nats": "ok", "consumer": "ok"}})


async def test_one_part_in_trouble_is_not_ready(get: Get, parts: Parts) -> None:
    parts.nats = "there is no connection to NATS"
    told = {"nats": "there is no connection to NATS", "consumer": "ok"}
    assert await get("/health/ready") == (503, {"status": "unavailable", "parts": told})


async def test_trouble_that_ends_is_ready_again(get: Get, parts: Parts) -> None:
    parts.consumer = "the consumer is refused"
    assert (await get("/health/ready"))[0] == 503
    parts.consumer = None
    assert (await get("/health/ready"))[0] == 200


async def test_process_in_trouble_still_lives(get: Get, parts: Parts) -> None:
    parts.nats = parts.consumer = "gone"
    status, told = await get("/health/live")
    assert (status, told["status"]) == (200, "ok")


async def test_how_full_its_queues_are_is_told(get: Get, health: Health) -> None:
    held = ["a delivery"]
    health.measure(deliveries=lambda: Queue(len(held), 16))
    queues = {"deliveries": {"length": 1, "most": 16}}
    assert (await get("/health/live"))[1]["load"]["queues"] == queues
    held.clear()
    assert (await get("/health/live"))[1]["load"]["queues"]["deliveries"]["length"] == 0


async def test_full_queue_is_no_trouble(get: Get, health: Health) -> None:
    health.measure(deliveries=lambda: Queue(16, 16))
    assert (await get("/health/ready"))[0] == 200


async def test_each_task_counts(get: Get) -> None:
    before = (await get("/health/live"))[1]["load"]["tasks"]
    more = [asyncio.create_task(asyncio.Event().wait()) for _ in range(20)]
    assert (await get("/health/live"))[1]["load"]["tasks"] == before + 20
    for task in more:
        task.cancel()


async def test_what_can_be_done_without_is_told_and_leaves_it_ready(get: Get, health: Health) -> None:
    pictures = Trouble()
    health.can_do_without(pictures=pictures)
    pictures.meets("the object store does not answer")
    status, told = await get("/health/ready")
    assert (status, told["without"]) == (200, {"pictures": "the object store does not answer"})
    pictures.ends()
    assert "without" not in (await get("/health/ready"))[1]


def test_trouble_that_nobody_meets_again_is_forgotten() -> None:
    now = 0.0
    trouble = Trouble(steady=lambda: now)
    assert trouble() is None
    trouble.meets("gone")
    now = TROUBLE_LASTS_S - 1
    assert trouble() == "gone"
    now = TROUBLE_LASTS_S
    assert trouble() is None
