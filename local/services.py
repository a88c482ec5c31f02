"""The five services and the stand-in model: which processes there are, and what each of them is told."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from dotenv import dotenv_values

from chassis.topology import SET_UP
from contracts.services import GATEWAY, ILLUSTRATOR, PROJECTOR, RESEARCH, STAGES
from local.nats import Nats, node_count
from local.postgres import ADMIN, Postgres
from local.s3 import S3
from local.spawn import Launch
from local.state import LOCALHOST, DataDirectory, free_port
from local.supervisor import Program

ROOT = Path(__file__).resolve().parent.parent
STANDIN = "stand-in"
LOG_REPLICAS = "PRESSROOM_LOG_REPLICAS"

HELD_UP_S = 10.0
"""So long a start waits for a projector that lives but is held up; one that is not is ready within 2 s."""


class Way(StrEnum):
    """Where a process may have to go, by the beginning of the settings that lead there and open the door."""

    LOG = "PRESSROOM_NATS_"
    TABLES = "PRESSROOM_POSTGRES_"
    PICTURES = "PRESSROOM_S3_"
    MODEL = "OPENAI_"
    SEARCH = "TAVILY_"


WAYS: Mapping[str, tuple[Way, ...]] = {
    SET_UP: (Way.LOG,),
    ADMIN: (Way.TABLES,),
    GATEWAY: (Way.LOG, Way.TABLES, Way.PICTURES),
    PROJECTOR: (Way.LOG, Way.TABLES),
    **dict.fromkeys(STAGES, (Way.LOG, Way.MODEL)),  # each stage; those that go further follow
    RESEARCH: (Way.LOG, Way.MODEL, Way.SEARCH),
    ILLUSTRATOR: (Way.LOG, Way.MODEL, Way.PICTURES),
}
"""Who goes where. Nobody is told a password or a key of another door, not even one that the user has set."""


def environment_of_user() -> dict[str, str]:
    """What the user has set: in the environment, else in `.env`. An empty value in the environment unsets."""
    written = {name: value for name, value in dotenv_values(ROOT / ".env").items() if value is not None}
    return written | dict(os.environ)


def needs_standin(environment: Mapping[str, str]) -> bool:
    return not (environment.get("OPENAI_API_KEY") or environment.get("OPENAI_BASE_URL"))


@dataclass(frozen=True)
class Machine:
    """The running system, as its processes have to know it."""

    data: DataDirectory
    has_standin: bool
    user: Mapping[str, str]
    host: str
    port: int
    entrance: socket.socket | None = field(default=None, kw_only=True)
    """Where the gateway takes clients in; None: it opens the port itself."""

    @property
    def address(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def python(self, *arguments: str, told: Mapping[str, str]) -> Launch:
        """A module of ours; -P keeps what lies in the current folder from being taken for it."""
        path = self.user.get("PYTHONPATH") or str(ROOT)
        always = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **self._unproxied()}
        open_to_all = {name: value for name, value in self.user.items() if not name.startswith(tuple(Way))}
        return Launch([sys.executable, "-P", "-m", *arguments], {**open_to_all, **always, **told}, folder=ROOT)

    def service(self, name: str, port: int) -> Launch:
        """The port is where it answers: the gateway with everything, the others with their health."""
        if name == GATEWAY:
            where = {"PRESSROOM_HOST": self.host, "PRESSROOM_PORT": str(port)}
            if self.entrance:
                file = self.entrance.fileno()
                gateway = self.python(f"services.{name}", "--entrance", str(file), told=self.access(name) | where)
                return replace(gateway, files=(file,))
        else:
            where = {"PRESSROOM_HEALTH_PORT": str(port)}
        if name in STAGES:
            where["PRESSROOM_ANSWERS"] = self.user.get("PRESSROOM_ANSWERS") or str(self.data.path / "answers")
        return self.python(f"services.{name}", told=self.access(name) | where)

    def access(self, name: str) -> dict[str, str]:
        """What the one with this name has to go to, where that is, and how it gets in."""
        return {setting: value for way in WAYS[name] for setting, value in self._access(name, way).items()}

    def _access(self, name: str, way: Way) -> Mapping[str, str]:
        match way:
            case Way.LOG:
                nats = Nats(self.data)
                return variables(way, url=nats.url, user=name, password=nats.passwords[name]) | self._replicas()
            case Way.TABLES:
                return variables(way, url=Postgres(self.data).url(name))
            case Way.PICTURES:
                return variables(way, **asdict(S3(self.data).access))
            case Way.MODEL if self.has_standin:
                address = f"http://{LOCALHOST}:{self.data.port(STANDIN)}/v1"
                return variables(way, base_url=address, api_key="sample") | {"PRESSROOM_PROVIDER": STANDIN}
            case Way.MODEL | Way.SEARCH:
                return {name: value for name, value in self.user.items() if name.startswith(way)}

    def _replicas(self) -> dict[str, str]:
        """As many as there are servers, unless the user has set another number."""
        return {LOG_REPLICAS: self.user.get(LOG_REPLICAS) or str(node_count(self.data))}

    def _unproxied(self) -> dict[str, str]:
        """The servers and the stand-in are here, whatever proxy leads to the world."""
        known = self.user.get("no_proxy") or self.user.get("NO_PROXY")
        hosts = ",".join(filter(None, (known, LOCALHOST, "localhost")))
        return {"no_proxy": hosts, "NO_PROXY": hosts}


def variables(way: Way, **values: str) -> dict[str, str]:
    """These values as the variables of an environment."""
    return {f"{way}{name.upper()}": value for name, value in values.items()}


class Service(Program):
    """One process of a service."""

    grace_s = 10.0  # it finishes, or hands back, what it has begun

    def __init__(self, machine: Machine, service: str, number: int) -> None:
        self.name = f"{service}-{number}"
        self._machine = machine
        self._service = service
        self._host, self._port = machine.host, machine.port
        self._launched_at = 0.0

    def launch(self, *, settled: bool) -> Launch:
        if self._service != GATEWAY:
            self._host, self._port = LOCALHOST, free_port()  # anew each time: only we ask there
        self._launched_at = time.monotonic()
        return self._machine.service(self._service, self._port)

    async def answers(self) -> bool:
        """A projector that is held up is waited for a while only: all else goes on, and a rebuild needs the rest."""
        host = reachable(self._host)
        is_ready = await answers_ok(host, self._port, "/health/ready")
        is_late = self._service == PROJECTOR and time.monotonic() > self._launched_at + HELD_UP_S
        self.said_of_it = "answers" if is_ready else "lives but is held up"
        return is_ready or (is_late and await answers_ok(host, self._port, "/health/live"))


class StandIn(Program):
    """The model that writes samples, while no real one is set."""

    name = STANDIN

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def launch(self, *, settled: bool) -> Launch:
        data, user = self._machine.data, self._machine.user
        port = data.port(STANDIN) if settled else data.settle_port(STANDIN)
        latency = user.get("PRESSROOM_STANDIN_LATENCY_S") or "1.5"
        return self._machine.python("local.standin", "--port", str(port), "--latency", latency, told={})

    async def answers(self) -> bool:
        return await answers_ok(LOCALHOST, self._machine.data.port(STANDIN), "/health")


async def answers_ok(host: str, port: int, path: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            return b" 200 " in await reader.readline()
        finally:
            writer.close()
    except OSError:
        return False


def reachable(host: str) -> str:
    """Where a server that listens everywhere is found from here."""
    return {"0.0.0.0": LOCALHOST, "::": "::1"}.get(host, host)  # noqa: S104 - it is only compared
