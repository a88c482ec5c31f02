"""The five services and the stand-in model: which processes there are, and what each of them is told."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from contracts.services import GATEWAY, STAGES
from local.nats import Nats
from local.postgres import ROLES, Postgres
from local.s3 import S3
from local.spawn import Launch
from local.state import LOCALHOST, DataDirectory, free_port
from local.supervisor import Program

ROOT = Path(__file__).resolve().parent.parent
SERVICES = (GATEWAY, *STAGES)
STANDIN = "stand-in"


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

    @property
    def address(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def python(self, *arguments: str, told: Mapping[str, str]) -> Launch:
        """A module of ours; -P keeps what lies in the current folder from being taken for it."""
        path = self.user.get("PYTHONPATH") or str(ROOT)
        always = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **self._unproxied()}
        return Launch([sys.executable, "-P", "-m", *arguments], {**self.user, **always, **told}, folder=ROOT)

    def service(self, name: str, port: int) -> Launch:
        """The port is where it answers: the gateway with everything, the others with their health."""
        if name == GATEWAY:
            where = {"PRESSROOM_HOST": self.host, "PRESSROOM_PORT": str(port)}
        else:
            where = {"PRESSROOM_HEALTH_PORT": str(port)}
        return self.python(f"services.{name}", told=self.access(name) | where)

    def access(self, name: str) -> dict[str, str]:
        """Where the servers are, and how the one with this name gets in."""
        nats, s3 = Nats(self.data), S3(self.data).access
        told = {
            "PRESSROOM_NATS_URL": nats.url,
            "PRESSROOM_NATS_USER": name,
            "PRESSROOM_NATS_PASSWORD": nats.passwords[name],
            "PRESSROOM_S3_ENDPOINT": s3.endpoint,
            "PRESSROOM_S3_ACCESS_KEY": s3.access_key,
            "PRESSROOM_S3_SECRET_KEY": s3.secret_key,
            "PRESSROOM_S3_BUCKET": s3.bucket,
        }
        if name in ROLES:
            told["PRESSROOM_POSTGRES_URL"] = Postgres(self.data).url(name)
        if self.has_standin:
            told["OPENAI_BASE_URL"] = f"http://{LOCALHOST}:{self.data.port(STANDIN)}/v1"
            told["OPENAI_API_KEY"] = "sample"
        return told

    def _unproxied(self) -> dict[str, str]:
        """The servers and the stand-in are here, whatever proxy leads to the world."""
        known = self.user.get("no_proxy") or self.user.get("NO_PROXY")
        hosts = ",".join(filter(None, (known, LOCALHOST, "localhost")))
        return {"no_proxy": hosts, "NO_PROXY": hosts}


class Service(Program):
    """One process of a service."""

    grace_s = 10.0  # it finishes, or hands back, what it has begun

    def __init__(self, machine: Machine, service: str, number: int) -> None:
        self.name = f"{service}-{number}"
        self._machine = machine
        self._service = service
        self._host, self._port = machine.host, machine.port

    def launch(self, *, settled: bool) -> Launch:
        if self._service != GATEWAY:
            self._host, self._port = LOCALHOST, free_port()  # anew each time: only we ask there
        return self._machine.service(self._service, self._port)

    async def answers(self) -> bool:
        return await answers_ok(reachable(self._host), self._port, "/health/ready")


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
