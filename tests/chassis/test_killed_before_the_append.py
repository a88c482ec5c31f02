"""A stage's process that is killed with an answer in its hands: the next one records it, and nobody is paid again."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.events import Artefact, Event, WorkflowRequested
from contracts.platforms import Platform
from contracts.services import GATEWAY, ILLUSTRATOR, WRITER
from contracts.subjects import WorkflowKey
from local.servers import Running
from local.standin.control import StandIn
from tests.chassis.plant import PATIENCE_S, Plant, written
from tests.services.served import served
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
REQUESTED = WorkflowRequested(topic="Tea", research=False, platforms=(Platform.X,))


class Gate:
    """Stands before the stand-in model, and holds calls to one of its paths for as long as it is shut."""

    def __init__(self, standin: StandIn, held: str) -> None:
        self._standin, self._held = standin, held
        self._open = asyncio.Event()
        self.is_reached = False

    def open(self) -> None:
        self._open.set()

    async def pass_on(self, request: Request) -> Response:
        if self._held in request.url.path:
            self.is_reached = True
            await self._open.wait()
        async with httpx2.AsyncClient(base_url=self._standin.base_url, trust_env=False, timeout=PATIENCE_S) as http:
            headers = {"authorization": request.headers["authorization"], "content-type": "application/json"}
            answer = await http.post(request.url.path, content=await request.body(), headers=headers)
        return Response(answer.content, answer.status_code, media_type=answer.headers["content-type"])

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/{path:path}", self.pass_on, methods=["POST"])])


class Stage:
    """Processes of one stage, one after the other, with the same folder for answers."""

    def __init__(self, service: str, plant: Plant, address: str, folder: Path, **settings: str) -> None:
        told = {
            "nats_url": plant.running.nats_url,
            "nats_password": plant.running.passwords[service],
            "answers": str(folder),
            "image_size": "64x64",
            **settings,
        }
        self._service = service
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PRESSROOM_")},
            **{f"PRESSROOM_{name.upper()}": value for name, value in told.items()},
            "PYTHONPATH": str(ROOT),
            "OPENAI_API_KEY": "sample",
            "OPENAI_BASE_URL": f"http://{address}/v1",
            "NO_PROXY": "127.0.0.1",
        }
        self._processes = list[asyncio.subprocess.Process]()

    async def start(self) -> None:
        command = (sys.executable, "-m", f"services.{self._service}")
        self._processes.append(
            await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=self._environment, stderr=-3)
        )

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._processes[-1].kill()
        await self._processes[-1].wait()


Make = Callable[..., Stage]


@pytest.fixture
async def make(own_plant: Plant, tmp_path: Path) -> AsyncGenerator[Make]:
    """Makes a stage on a log of its own. No process outlives the test."""
    made = list[Stage]()

    def make(service: str, address: str, **settings: str) -> Stage:
        made.append(Stage(service, own_plant, address, tmp_path / "answers", **settings))
        return made[-1]

    yield make
    for stage in made:
        await stage.kill()


class Store:
    """The object store: where it is, and a way to pause it."""

    def __init__(self, running: Running) -> None:
        self._running = running
        access = running.s3
        self.settings = {
            "s3_endpoint": access.endpoint,
            "s3_access_key": access.access_key,
            "s3_secret_key": access.secret_key,
            "s3_bucket": access.bucket,
        }

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._running.pid("s3"), number)


@pytest.fixture
def s3(s3_server: Running) -> Generator[Store]:
    """The shared object store, which goes on however the test ends."""
    store = Store(s3_server)
    yield store
    store.signal(signal.SIGCONT)


def kept(folder: Path) -> list[Path]:
    """The answers there, without drafts."""
    return [path for path in folder.rglob("*") if len(path.name) == 64]


async def put(plant: Plant, key: WorkflowKey, service: str, event: Event) -> None:
    store = await plant.store(service)
    await store.append(await store.read(key), event, id=f"put-{event.type}")


async def until_made(plant: Plant, key: WorkflowKey, service: str) -> Artefact:
    store = await plant.store(service)

    async def look() -> Artefact | None:
        events = [recorded.event for recorded in (await store.read(key)).recorded if recorded.service == service]
        return next((event for event in events if isinstance(event, Artefact)), None)

    return await until(look, f"{service} has recorded its artefact")


async def until_kept(folder: Path, count: int) -> None:
    async def look() -> bool:
        return len(kept(folder)) == count

    await until(look, f"{count} answers are kept")


async def until_held(gate: Gate) -> None:
    async def look() -> bool:
        return gate.is_reached

    await until(look, "the call is made")


async def calls(standin: StandIn) -> Counter[str]:
    return Counter(call.kind for call in await standin.calls())


async def test_text_that_was_received_is_recorded_by_the_next_process(
    own_plant: Plant, standin: StandIn, key: WorkflowKey, make: Make, tmp_path: Path
) -> None:
    gate = Gate(standin, "/responses")
    async with served(gate.app()) as address:
        writer = make(WRITER, address)
        await put(own_plant, key, GATEWAY, REQUESTED)
        await writer.start()
        await until_held(gate)
        own_plant.signal(signal.SIGSTOP)  # from here on nothing can be appended
        gate.open()
        await until_kept(tmp_path / "answers", 1)
        await writer.kill()
        own_plant.signal(signal.SIGCONT)
        await writer.start()
        made = await until_made(own_plant, key, WRITER)
        assert (made.attempt, await calls(standin)) == (2, {"blog": 1})
        assert made.usage and made.usage.calls == 1


async def test_picture_that_was_received_is_stored_by_the_next_process(
    own_plant: Plant, s3: Store, standin: StandIn, make: Make, tmp_path: Path
) -> None:
    gate, key = Gate(standin, "/images"), WorkflowKey("local", "pictured")
    async with served(gate.app()) as address:
        illustrator = make(ILLUSTRATOR, address, **s3.settings)
        await put(own_plant, key, GATEWAY, REQUESTED)
        await put(own_plant, key, WRITER, written("# Tea\n\nTea is good."))
        await illustrator.start()
        await until_held(gate)
        s3.signal(signal.SIGSTOP)
        gate.open()
        await until_kept(tmp_path / "answers", 2)
        await illustrator.kill()
        s3.signal(signal.SIGCONT)
        await illustrator.start()
        made = await until_made(own_plant, key, ILLUSTRATOR)
        assert (made.attempt, await calls(standin)) == (2, {"scene": 1, "image": 1})
        assert made.usage and (made.usage.calls, made.usage.images) == (2, 1)
