"""The ground: the system under test as faults and clients find it: its processes, its servers, the ways between."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import asyncpg
import httpx2

from chaos.newer import NEWER, python_path
from chaos.plan import Plan, Step
from chaos.press import WAYS, Layout, note, processes
from chaos.records import Records
from chaos.routes import Routes
from chaos.wire.http import HttpTalk
from chaos.wire.moments import Board, Moment, Point
from chaos.wire.nats import NatsTalk
from chaos.wire.postgres import PostgresTalk
from chaos.wire.proxy import Proxy, Talk, until
from chassis.connection import Connection
from chassis.jetstream_log import JetStreamLog
from chassis.topology import SET_UP
from contracts.services import ILLUSTRATOR, PROJECTOR, RESEARCH, STAGES, WRITER
from local.nats import Nats
from local.postgres import ADMIN, Postgres
from local.s3 import S3
from local.services import ROOT, STANDIN, Machine, Way
from local.services import WAYS as GOES
from local.spawn import kill_group, noted_processes
from local.standin.control import StandIn
from local.state import LOCALHOST, DataDirectory
from local.supervisor import REGISTER

FEW: Mapping[str, int] = {WRITER: 2, PROJECTOR: 2}
MANY: Mapping[str, int] = {RESEARCH: 3, WRITER: 4, ILLUSTRATOR: 4}
"""So many that one killed every two seconds has lived well, and is started again without delay."""

ACK_WAIT_S = 5.0
BACK_WITHIN_S = 30.0
HOSTILE = "hostile-1"
"""What stands in the list of appends for the events that the harness itself publishes."""

KEY = "sk-canary-7d1f0c2e9b"
"""The key that the model's clients are given. It may be found nowhere."""

PROMPT = "canary-prompt-5b8a61d3"
"""A word of one client's brief. It may be found only where that brief belongs."""

ENVIRONMENT: Mapping[str, str] = {
    # An empty value also unsets what a `.env` of the person who runs this may hold.
    "OPENAI_API_KEY": "",
    "OPENAI_BASE_URL": "",
    "TAVILY_API_KEY": "",
    "PRESSROOM_LOG_FORMAT": "json",
    "PRESSROOM_DEADLINE_S": "15",  # a model that hangs is given up while the run still goes on
    "PRESSROOM_DRAIN_S": "3",
    "PRESSROOM_ACK_WAIT_S": f"{ACK_WAIT_S:g}",
}


class Lives(Protocol):
    """A client."""

    waits_for_hope: bool
    """Whether nothing goes on until its workflow is resumed."""

    async def live(self) -> None:
        """Until it has seen what it wanted to see."""
        ...


class CannotStart(Exception):
    """The system under test did not start; the message holds its last words."""


class Ground:
    """The running system, and every way to act on it."""

    def __init__(self, plan: Plan, folder: Path, records: Records, *, latency_s: float) -> None:
        self.plan, self.records = plan, records
        self.data = DataDirectory(folder / "data")
        self.board = Board()
        self.is_redriven = asyncio.Event()
        """One command has had everything go on that had failed when the faults were over."""
        self.clients_done = asyncio.Event()
        self.known_workflows: list[str] = []
        self.onlookers: set[asyncio.Task[None]] = set()
        """Who follows a workflow besides the client that asked for it; waited for in the end."""
        self.followed: list[tuple[Lives, asyncio.Task[None]]] = []
        """The clients whose workflows were asked for by faults; onlookers as well."""
        self.aside: set[asyncio.Task[None]] = set()
        """What a fault still looks at while others go on; waited for before the calm."""
        self.struck: set[int] = set()
        """The numbers of the steps that were fired."""
        self.missed: set[int] = set()
        """The numbers of those whose point did not come."""
        self._hope = asyncio.Event()
        self._latency_s = latency_s
        self._proxies: dict[tuple[str, Way], list[Proxy]] = {}
        self.routes = Routes(self.data, plan.nodes, self.board)
        self._process: asyncio.subprocess.Process | None = None
        self._words = folder / "press.err"
        self._released: dict[str, str] = {}
        self.newer = records.folder / NEWER
        """Where the newer release is, once there is one."""
        self.scale = MANY if "kills" in plan.faults else FEW

    # ------------------------------------------------------------ start and stop

    async def start(self) -> None:
        """Returns when everything answers. Raises CannotStart."""
        self.data.path.parent.mkdir(parents=True, exist_ok=True)
        self.board.listeners += [self._note_append, self._note_call]
        names = processes(self.scale)
        ports = {name: await self._listen(name) for name in (*names, HOSTILE)}
        routes = await self.routes.listen()
        layout = Layout(self.scale, ports, KEY, self.plan.planted, self.plan.nodes, routes)
        note(self.data.path, "press").write_text(json.dumps(asdict(layout)))
        environment = self.environment()
        environment["PRESSROOM_STANDIN_LATENCY_S"] = f"{self._latency_s:g}"
        with self._words.open("w") as words:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "chaos.press", self.data.path),
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=words,
                start_new_session=True,  # Ctrl-C reaches this process alone, which then stops that one
            )
        line = (await self._process.stdout.readline()).decode() if self._process.stdout else ""
        if not line.startswith("Pressroom is ready at "):
            raise CannotStart(f"The system under test did not start.\n{self._words.read_text()[-3000:]}")
        self.address = line.split()[-1]
        self.http = httpx2.AsyncClient(base_url=self.address, trust_env=False, timeout=20)
        self.standin = StandIn(f"http://{LOCALHOST}:{self.data.port(STANDIN)}")

    async def stop(self) -> None:
        """Stops it as Ctrl-C does, and leaves no process behind."""
        if self._process and self._process.returncode is None:
            for name in self.names():  # one that is stopped does not hear that it should go
                self.signal(name, signal.SIGCONT)
            self._process.send_signal(signal.SIGINT)
            with suppress(TimeoutError):
                async with asyncio.timeout(40):
                    await self._process.wait()
            if self._process.returncode is None:
                kill_group(self._process.pid)
                await self._process.wait()
            with suppress(AttributeError):
                await self.http.aclose()
                await self.standin.__aexit__()
        await asyncio.gather(*(proxy.close() for proxy in self.all_proxies()), self.routes.close())

    async def _listen(self, process: str) -> dict[str, list[int]]:
        """The proxies of one process. -> the ports by way"""
        service = process.rpartition("-")[0]
        ways = (Way.LOG,) if process == HOSTILE else [way for way in GOES[service] if way in WAYS]
        ports: dict[str, list[int]] = {}
        for way in ways:
            count = self.plan.nodes if way is Way.LOG else 1
            proxies = [
                Proxy(
                    process,
                    self._upstream(way, number),
                    talk_of(way),
                    self.board,
                    self._note_unanswered,
                    self._note_answer,
                )
                for number in range(count)
            ]
            self._proxies[process, way] = proxies
            ports[way.name] = [await proxy.listen() for proxy in proxies]
        return ports

    def _upstream(self, way: Way, number: int) -> Callable[[], tuple[str, int]]:
        """Where the server is; known only when it has started."""

        def place() -> tuple[str, int]:
            match way:
                case Way.LOG:
                    url = Nats(self.data).url.split(",")[number]
                case Way.TABLES:
                    url = Postgres(self.data).url(ADMIN)
                case Way.PICTURES:
                    url = f"http://{S3(self.data).access.endpoint}"
                case _:
                    url = f"http://{LOCALHOST}:{self.data.port(STANDIN)}"
            return LOCALHOST, urlsplit(url).port or 0

        return place

    # ------------------------------------------------------------ what is seen

    def _note_append(self, moment: Moment) -> None:
        phases = {Point.APPENDING: "sent", Point.STORED: "acked", Point.REFUSED: "refused"}
        if phase := phases.get(moment.point):
            about = {name: value for name, value in moment.about.items() if name != "event"}
            self.records.write("appends", process=moment.process, **about, phase=phase)

    def _note_call(self, moment: Moment) -> None:
        if moment.point is Point.CALLING:
            self.records.write("answers", process=moment.process, call=moment.about["call"], phase="asked")

    def _note_answer(self, moment: Moment) -> None:
        """The answer has reached its process, and that process is one that lives."""
        if moment.point is Point.ANSWERED:
            told = {name: moment.about[name] for name in ("call", "status")}
            self.records.write("answers", process=moment.process, **told, phase="answered")

    def _note_unanswered(self, process: str, append: Mapping[str, Any]) -> None:
        about = {name: value for name, value in append.items() if name != "event"}
        self.records.write("appends", process=process, **about, phase="unanswered")

    def fired(self, step: Step, detail: str = "", *, at: str | None = None) -> None:
        """The fault is there; `at`: the very process, where the plan names no more than its service."""
        self.struck.add(step.number)
        self.records.happened(step.number, step.kind, at or step.target, "fired", detail)

    def healed(self, step: Step, detail: str = "", *, at: str | None = None) -> None:
        """The fault is over."""
        self.records.happened(step.number, step.kind, at or step.target, "healed", detail)

    def skipped(self, step: Step, detail: str) -> None:
        """Its point did not come."""
        self.missed.add(step.number)
        self.records.happened(step.number, step.kind, step.target, "skipped", detail)

    @property
    def hope(self) -> asyncio.Event:
        """Is set at the next moment at which it is worth while to resume what has failed."""
        return self._hope

    def give_hope(self) -> None:
        """What made workflows fail is over."""
        self._hope, hoped = asyncio.Event(), self._hope
        hoped.set()

    def follow(self, client: "Lives") -> None:
        """Has this client live on beside the others."""
        living = asyncio.create_task(client.live())
        self.onlookers.add(living)
        self.followed.append((client, living))

    async def has_looked(self) -> None:
        """Waits for what is still looked at, which would end with the gateway."""
        await asyncio.gather(*self.aside)

    @property
    def at_work(self) -> int:
        """How many workflows that faults asked for are under way."""
        return sum(not living.done() and not client.waits_for_hope for client, living in self.followed)

    # ------------------------------------------------------------ processes

    def names(self) -> list[str]:
        """Every process that runs now."""
        return [*noted_processes(self.data.path / REGISTER)]

    def services(self) -> list[str]:
        """The services' processes."""
        return processes(self.scale)

    def stages(self) -> list[str]:
        """The stages' processes."""
        return [name for name in self.services() if name.rpartition("-")[0] in STAGES]

    def nats_names(self) -> list[str]:
        """The servers that keep the log."""
        return ["nats"] if self.plan.nodes == 1 else [f"nats-{number + 1}" for number in range(self.plan.nodes)]

    def nodes(self) -> range:
        """The numbers of these servers."""
        return range(1, self.plan.nodes + 1)

    def pid(self, name: str) -> int | None:
        """The process of this name, as `writer-1`."""
        found = noted_processes(self.data.path / REGISTER).get(name)
        return found[0] if found else None

    def signal(self, name: str, number: signal.Signals) -> int | None:
        """Sends it a signal. -> the pid it had"""
        pid = self.pid(name)
        if pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        return pid

    def kill(self, name: str) -> int | None:
        """Kills it, and nothing more of what it has said gets through. -> the pid it had"""
        pid = self.signal(name, signal.SIGKILL)
        for proxy in self.all_proxies(name):
            proxy.cut()
        return pid

    @contextmanager
    def supervisor_held(self) -> Generator[None]:
        """Whatever dies meanwhile is started again only afterwards."""
        pid = self._process.pid if self._process else 0
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    async def back(self, name: str, before: int | None) -> bool:
        """Waits until another process runs in its place."""

        async def look() -> bool:
            return self.pid(name) not in (None, before)

        return await until(look, BACK_WITHIN_S)

    async def log_answers(self) -> bool:
        """Waits until every server of the log can be reached."""

        async def look() -> bool:
            for url in Nats(self.data).url.split(","):
                try:
                    _, writer = await asyncio.open_connection(LOCALHOST, urlsplit(url).port)
                except OSError:
                    return False
                writer.close()
            return True

        return await until(look, BACK_WITHIN_S)

    def copies(self) -> range:
        """The servers that keep a copy of the log, where there are several."""
        return self.nodes() if self.plan.nodes > 1 else range(0)

    async def has_copy(self, node: int, position: int) -> bool:
        """Has this server the event at this position? One whose catching up was cut off begins again after a while."""
        async with self.connection(node=node) as connection:
            return bool(position == 0 or await JetStreamLog(connection).read(position - 1, 1))

    # ------------------------------------------------------------ ways

    def all_proxies(self, process: str | None = None, way: Way | None = None) -> list[Proxy]:
        """Those of a process or of a service, of one way; all of them by default."""
        return [
            proxy
            for (name, on), proxies in self._proxies.items()
            if process in (None, name, name.rpartition("-")[0]) and way in (None, on)
            for proxy in proxies
        ]

    def proxies_to_node(self, number: int) -> list[Proxy]:
        """Every process's way to one server of the log, counted from 1."""
        return [proxies[number - 1] for (_, way), proxies in self._proxies.items() if way is Way.LOG]

    def heal_ways(self) -> None:
        """Every way is a good one again."""
        for proxy in self.all_proxies():
            proxy.heal()
        self.routes.heal()

    def release(self, process: str) -> None:
        """From its next start on, the process is one of the newer release."""
        self._released[process] = python_path(self.newer)
        note(self.data.path, "releases").write_text(json.dumps(self._released))

    def set_clock(self, process: str, seconds: float) -> None:
        """From its next start on, the process's clock is off by so much."""
        note(self.data.path, "clocks").write_text(json.dumps({process: seconds} if seconds else {}))

    # ------------------------------------------------------------ servers, past the proxies

    @asynccontextmanager
    async def connection(
        self, user: str = SET_UP, *, through: str | None = None, node: int | None = None
    ) -> AsyncGenerator[Connection]:
        """A connection to the log with the rights of this user; through a process's proxy, or to a certain server."""
        nats = Nats(self.data)
        url = nats.url if node is None else nats.url.split(",")[node - 1]
        if through is not None:
            url = f"nats://{LOCALHOST}:{self._proxies[through, Way.LOG][0].port}"
        async with asyncio.timeout(20):
            connection = await Connection.open(url, user=user, password=nats.passwords[user], name="chaos")
        try:
            yield connection
        finally:
            await connection.close()

    async def database(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection to Postgres with every right."""
        connection = await asyncpg.connect(Postgres(self.data).url(ADMIN), timeout=5, command_timeout=60)
        await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
        return connection

    async def rules(self) -> list[dict[str, Any]]:
        """The stand-in's rules, and how often each was used."""
        async with httpx2.AsyncClient(base_url=self.standin.base_url, trust_env=False) as http:
            return (await http.get("/_standin/rules")).json()

    def environment(self) -> dict[str, str]:
        """For a process of ours that is to belong to the system."""
        return {**os.environ, "PYTHONPATH": python_path(self.newer), **ENVIRONMENT}

    def set_up_environment(self) -> dict[str, str]:
        """For the set-up step of the log."""
        return self.environment() | Machine(self.data, True, self.environment(), LOCALHOST, 0).access(SET_UP)

    def python(self, module: str, *arguments: str) -> list[str]:
        """A module of ours."""
        return [sys.executable, "-P", "-m", module, *arguments]

    def command(self, verb: str, *arguments: str) -> list[str]:
        """`./run <verb>` beside the running system."""
        return [sys.executable, "-m", "cli", verb, *arguments, "--data", str(self.data.path)]


def talk_of(way: Way) -> Callable[[str], Talk]:
    """What understands the bytes of this way."""
    match way:
        case Way.LOG:
            return NatsTalk
        case Way.TABLES:
            return PostgresTalk
        case Way.PICTURES:
            return lambda process: HttpTalk(process, is_store=True)
        case _:
            return HttpTalk
