"""A service as whoever keeps it running sees it: a process that is asked to stop, and the code that it ends with."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.msg import Msg
from websockets.asyncio.client import connect

from chassis.connection import PENDING_BYTES_MAX
from chassis.event_store import History, utc_now
from chassis.jetstream_log import BATCH
from contracts import subjects
from contracts.envelope import Recorded
from contracts.events import AttemptFailed, Event, WorkflowRequested
from contracts.platforms import Platform
from contracts.presence import Presence
from contracts.services import GATEWAY, PROJECTOR, SERVICES, WRITER
from contracts.subjects import WorkflowKey
from services.gateway.library import CONNECTIONS_MAX
from services.gateway.tail import WAITING_MAX
from tests.chassis.plant import PATIENCE_S, Plant
from tests.faulty_wire import wire
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]

REQUESTED = WorkflowRequested(topic="bees", research=False, platforms=(Platform.X,))

PROMPTLY_S = 5.0
"""Much longer than a process with nothing in its hands needs, much shorter than anyone's patience with it."""


class Process:
    """A service that runs, and what it has said so far: each line of its log is an object of JSON."""

    def __init__(self, running: asyncio.subprocess.Process) -> None:
        self._running = running
        self._listening = asyncio.create_task(self._listen())
        self.lines: list[dict[str, Any]] = []

    async def _listen(self) -> None:
        assert self._running.stderr
        async for line in self._running.stderr:
            self.lines.append(json.loads(line))

    @property
    def said(self) -> list[str]:
        return [line["event"] for line in self.lines]

    async def until_says(self, what: str) -> None:
        async def look() -> bool:
            assert self._running.returncode is None, f"it has ended: {self.lines}"
            return what in self.said

        await until(look, f"it says {what!r}", within_s=PATIENCE_S)

    async def ended(self, within_s: float = PATIENCE_S) -> int:
        """Waits for its end. -> its exit code"""
        async with asyncio.timeout(within_s):
            code = await self._running.wait()
            await self._listening
        return code

    async def terminated(self) -> int:
        """Asks it to go, as an operator does. -> its exit code"""
        self._running.send_signal(signal.SIGTERM)
        return await self.ended(PROMPTLY_S)

    async def kill(self) -> None:
        """Leaves nothing behind, however the test ended."""
        if self._running.returncode is None:
            self._running.kill()
            await self._running.wait()
        await asyncio.gather(self._listening, return_exceptions=True)


Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def start() -> AsyncGenerator[Start]:
    """Starts a service with these settings, and with none of the person's who runs the tests. `off_s`: its clock is
    off by so much, in seconds."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PRESSROOM_", "TAVILY_"))}
    told = {"PYTHONPATH": str(ROOT), "PRESSROOM_PORT": "0", "PRESSROOM_LOG_FORMAT": "json"}
    told |= {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}  # where nobody listens
    async with AsyncExitStack() as stack:

        async def start(service: str, *, off_s: int = 0, **settings: object) -> Process:
            module = f"services.{service}"
            chosen = {f"PRESSROOM_{name.upper()}": str(value) for name, value in settings.items()}
            running = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", *(("chaos.shifted", str(off_s), module) if off_s else (module,))),
                cwd=ROOT,
                env=inherited | told | chosen,
                stderr=asyncio.subprocess.PIPE,
            )
            process = Process(running)
            stack.push_async_callback(process.kill)
            return process

        yield start


@pytest.fixture
def nowhere() -> Generator[str]:
    """An address where no NATS server listens, and none will meanwhile."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield f"nats://127.0.0.1:{kept.getsockname()[1]}"


def settings_of(plant: Plant, service: str) -> dict[str, str]:
    """What lets this service in."""
    return {"nats_url": plant.running.nats_url, "nats_password": plant.running.passwords[service]}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


UNHEARD = {"unheard_bytes": PENDING_BYTES_MAX}
BOUNDS = {
    GATEWAY: {"streams": 2, "live": WAITING_MAX + 1, "reads": CONNECTIONS_MAX, **UNHEARD},
    PROJECTOR: {"batch": BATCH, **UNHEARD},
}
BOUNDS_OF_STAGE = {"deliveries": 3, **UNHEARD}


async def load(client: httpx.AsyncClient, service: str) -> dict[str, Any] | None:
    """What the process has on its hands, once all of its parts are there."""
    with suppress(httpx.TransportError):
        told = (await client.get("/health/live")).json()["load"]
        return told if len(told["queues"]) == len(BOUNDS.get(service, BOUNDS_OF_STAGE)) else None
    return None


class TestWithoutNats:
    @pytest.mark.parametrize("service", [WRITER, GATEWAY])
    async def test_process_that_waits_stops_promptly(self, start: Start, nowhere: str, service: str) -> None:
        process = await start(service, nats_url=nowhere)
        await process.until_says("no connection to NATS")
        assert await process.terminated() == 0

    async def test_waiting_stage_says_what_it_lacks(self, start: Start, nowhere: str) -> None:
        port = free_port()
        await start(WRITER, nats_url=nowhere, health_port=port)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

            async def ready() -> httpx.Response | None:
                try:
                    return await client.get("/health/ready")
                except httpx.TransportError:
                    return None

            answer = await until(ready, "the health is served", within_s=PATIENCE_S)
        assert answer.status_code == 503
        assert answer.json()["parts"] == {"nats": "there is no connection to NATS yet"}

    async def test_gateway_refuses_what_needs_the_log_and_opens_once_it_is_there(
        self, start: Start, plant: Plant
    ) -> None:
        port, request = free_port(), {"topic": "bees", "client_request_id": "before the log"}
        async with wire(plant.first_url) as it:
            it.go_down()
            told = settings_of(plant, GATEWAY) | {"nats_url": it.url(plant.first_url), "port": str(port)}
            process = await start(GATEWAY, **told)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

                async def refused() -> httpx.Response | None:
                    try:
                        return await client.post("/workflows", json=request)
                    except httpx.TransportError:
                        return None

                answer = await until(refused, "somebody answers", within_s=PATIENCE_S)
                assert (answer.status_code, answer.json()["code"]) == (503, "log-unavailable")
                assert answer.headers["retry-after"] == "2"
                assert (await client.get("/health/ready")).status_code == 503
                async with connect(f"ws://127.0.0.1:{port}/content", proxy=None) as socket:
                    await socket.send(json.dumps(request))
                    assert json.loads(await socket.recv())["error"]["code"] == "log-unavailable"
                    await socket.wait_closed()
                assert socket.close_code == 1013
                await it.mend()
                await process.until_says("ready")
                assert (await client.get("/health/ready")).status_code == 200
                assert (await client.post("/workflows", json=request)).status_code == 202
            assert await process.terminated() == 0


class TestWithNats:
    async def test_stage_stops_cleanly(self, start: Start, own_plant: Plant) -> None:
        process = await start(WRITER, **settings_of(own_plant, WRITER))
        await process.until_says("ready")
        assert (await process.terminated(), process.said[-1]) == (0, "stopped")

    @pytest.mark.parametrize("off_s", [3600, -3600])
    async def test_stage_whose_clock_is_off_by_an_hour_records_the_time_of_the_log(
        self, start: Start, own_plant: Plant, key: WorkflowKey, off_s: int
    ) -> None:
        store = await own_plant.store(GATEWAY)
        await store.append(History(key), REQUESTED, id="asked")
        process = await start(WRITER, off_s=off_s, **settings_of(own_plant, WRITER))

        async def failed() -> Recorded[Event] | None:
            recorded = (await store.read(key)).recorded
            return next((one for one in recorded if isinstance(one.event, AttemptFailed)), None)

        told = await until(failed, "its call has failed")
        assert isinstance(told.event, AttemptFailed) and "wrong clock" in process.said
        for moment in (told.recorded_at, told.event.retry_at):
            assert abs(moment - utc_now()) < timedelta(minutes=30)

    async def test_gateway_stops_cleanly(self, start: Start, plant: Plant) -> None:
        process = await start(GATEWAY, **settings_of(plant, GATEWAY))
        await process.until_says("ready")
        assert (await process.terminated(), process.said[-1]) == (0, "stopped")

    @pytest.mark.parametrize("service", SERVICES)
    async def test_process_says_that_it_is_there_and_goodbye(
        self, start: Start, own_plant: Plant, service: str
    ) -> None:
        heard: asyncio.Queue[Presence] = asyncio.Queue()
        gateway = await own_plant.connect(GATEWAY)

        async def hear(message: Msg) -> None:
            assert message.subject == subjects.presence(service)
            heard.put_nowait(Presence.read(message.data))

        await gateway.subscribe(subjects.EVERY_PRESENCE, hear)
        await gateway.flush()
        process = await start(service, **settings_of(own_plant, service), concurrency=3)
        async with asyncio.timeout(PATIENCE_S):
            first = await heard.get()
        assert await process.terminated() == 0
        async with asyncio.timeout(PATIENCE_S):
            while not (last := await heard.get()).leaving:
                continue
        assert first.worker == last.worker and first.worker.startswith(f"{service}@") and "nats" in first.parts
        assert (first.slots, first.busy) == ((None, None) if service in (GATEWAY, PROJECTOR) else (3, 0))

    @pytest.mark.parametrize("service", SERVICES)
    async def test_process_says_what_it_has_on_its_hands(self, start: Start, own_plant: Plant, service: str) -> None:
        port = free_port()
        where = {"port": port} if service == GATEWAY else {"health_port": port}
        await start(service, **settings_of(own_plant, service), **where, concurrency=3, sockets_max=2)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            told = await until(lambda: load(client, service), "all is told", within_s=PATIENCE_S)
        assert told["tasks"] > 1
        assert {name: queue["most"] for name, queue in told["queues"].items()} == BOUNDS.get(service, BOUNDS_OF_STAGE)
        assert not any(queue["length"] for queue in told["queues"].values())

    async def test_open_sockets_are_on_the_gateways_hands(self, start: Start, plant: Plant) -> None:
        port = free_port()
        process = await start(GATEWAY, **settings_of(plant, GATEWAY), port=port)
        await process.until_says("ready")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

            async def streams(count: int) -> bool:
                told = await load(client, GATEWAY)
                return bool(told) and told["queues"]["streams"]["length"] == count

            async with connect(f"ws://127.0.0.1:{port}/content", proxy=None):
                await until(lambda: streams(1), "the socket counts", within_s=PATIENCE_S)
            await until(lambda: streams(0), "it is gone", within_s=PATIENCE_S)

    @pytest.mark.parametrize("service", [WRITER, GATEWAY])
    async def test_wrong_password_ends_it_with_a_sentence(self, start: Start, plant: Plant, service: str) -> None:
        process = await start(service, **settings_of(plant, service) | {"nats_password": "canary"})
        assert await process.ended() == 1
        *_, line = process.lines
        assert line["event"] == "cannot go on" and f"the user '{service}' or its password" in line["why"]
        assert not any("exception" in line for line in process.lines) and "canary" not in repr(process.lines)
