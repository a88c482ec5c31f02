"""What docker-compose.yml starts, without containers: its commands in its environment, from what the image holds.

Real servers stand in the place of those in containers: nats-server and weed as the file starts them, Postgres as
`./run` does. Names of containers become 127.0.0.1, and each port one that is free.
"""

import asyncio
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import asyncpg

from local.servers import Servers, servers
from local.spawn import tie_to_parent
from local.state import LOCALHOST, free_port
from tests.deploy.composed import OURS, ROOT, Service, composed, dockerfile, fill
from tests.waiting import until

BIN = Path(sys.executable).parent


class Containers:
    """The whole of the file, in the order of its `depends_on`."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._folder, self._variables = folder, variables
        self._services: dict[str, Service] = composed(variables)["services"]
        self._ports = {"nats:4222": free_port(), "seaweedfs:8333": free_port((0, 10_000)), "stand-in:8001": free_port()}
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._environments: dict[str, dict[str, str]] = {}
        self._postgres: Servers = servers(folder / "postgres", postgres=True)
        for target in ("services", "stand-in"):
            fill(folder / target, dockerfile()[target])

    async def __aenter__(self) -> Self:
        await self._start_postgres()
        self._start_nats()
        self._start_seaweedfs()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
        await self._postgres.__aexit__()
        for socket in Path("/tmp").glob("seaweedfs-*.sock"):  # noqa: S108, ASYNC240 - the place is the server's choice
            if any(str(port) in socket.name for port in self._weed_ports):
                socket.unlink(missing_ok=True)

    # ------------------------------------------------------------ servers

    async def _start_postgres(self) -> None:
        """As the image of Postgres leaves it: the one database, the admin with the password of `.env`, no roles."""
        running = await self._postgres.__aenter__()
        address = running.postgres_url()
        connection = await asyncpg.connect(address)
        await connection.execute("DROP ROLE gateway; DROP ROLE projector")
        password = self._services["postgres"]["environment"]["POSTGRES_PASSWORD"]
        await connection.execute(f"ALTER ROLE postgres PASSWORD '{password}'")
        await connection.close()
        self._ports["postgres:5432"] = int(address.rpartition(":")[2].partition("/")[0])

    def _start_nats(self) -> None:
        """With the committed configuration, in which only the place of the store is another."""
        nats = self._services["nats"]
        told = (ROOT / "deploy" / "nats-server.conf").read_text().replace('"/data"', f'"{self._folder / "log"}"')
        config = self._folder / "nats-server.conf"
        config.write_text(told)
        health = free_port()
        self.nats_health = address_of(nats, health)
        ports = ["-a", LOCALHOST, "-p", str(self._ports["nats:4222"]), "-m", str(health)]
        (program,), (option, _) = nats["entrypoint"], nats["command"]
        self._spawn("nats", [BIN / program, option, config, *ports], nats["environment"], self._folder)

    def _start_seaweedfs(self) -> None:
        seaweedfs = self._services["seaweedfs"]
        shell, script = seaweedfs["entrypoint"]
        s3 = self._ports["seaweedfs:8333"]
        self.s3_health = address_of(seaweedfs, s3)
        others = {part: free_port((0, 10_000)) for part in ("master", "volume", "filer", "admin")}
        self._weed_ports = [port + offset for port in (s3, *others.values()) for offset in (0, 10_000)]
        store = self._folder / "pictures"
        store.mkdir()
        ours = [f"-dir={store}", f"-ip.bind={LOCALHOST}", f"-s3.port={s3}", f"-s3.port.grpc={s3 + 10_000}"]
        for part, port in others.items():
            ours += [f"-{part}.port={port}", f"-{part}.port.grpc={port + 10_000}"]
        told = seaweedfs["environment"] | {"TMPDIR": str(self._folder)}
        self._spawn("seaweedfs", [shell, ROOT / "deploy" / Path(script).name, *ours], told, self._folder)

    # ------------------------------------------------------------ ours

    def start(self, name: str, number: str = "1") -> None:
        """One container of this service."""
        service = self._services[name]
        target = service["build"]["target"]
        told = dockerfile()[target].variables | self._moved(service.get("environment", {}))
        if "PRESSROOM_ANSWERS" in told:  # a volume of its own
            told["PRESSROOM_ANSWERS"] = str(self._folder / f"answers-{name}")
        command = service["command"]
        if name == "gateway":
            self.port = free_port()
            told |= {"PRESSROOM_HOST": LOCALHOST, "PRESSROOM_PORT": str(self.port)}
        elif name == "stand-in":
            command = [LOCALHOST if part == "0.0.0.0" else part for part in command]  # noqa: S104 - only here, not there
            command = [str(self._ports["stand-in:8001"]) if part == "8001" else part for part in command]
        else:
            told["PRESSROOM_HEALTH_PORT"] = str(free_port())
        self._spawn(f"{name}-{number}", [sys.executable, *command[1:]], told, self._folder / target)

    async def set_up(self) -> dict[str, int]:
        """Every step, each behind those that it depends on. -> the exit code of each"""
        codes = dict[str, int]()
        for steps in ("set-up-log", "set-up-roles", "set-up-pictures"), ("set-up-tables",):
            for name in steps:
                self.start(name)
            for name in steps:
                codes[name] = await asyncio.to_thread(self._started.pop(f"{name}-1").wait, 60)
        return codes

    async def task(self, name: str, module: str) -> int:
        """Another command in the container of a service. -> its exit code"""
        folder = self._folder / self._services[name]["build"]["target"]
        told = self._environments[f"{name}-1"]
        self._spawn("task", [sys.executable, "-m", module], told, folder)
        return await asyncio.to_thread(self._started.pop("task").wait, 60)

    async def until_healthy(self, name: str) -> None:
        """As Docker finds out: with the image's own HEALTHCHECK."""
        target = self._services[name.rpartition("-")[0]]["build"]["target"]
        (check,) = dockerfile()[target].all("HEALTHCHECK")
        command = shlex.split(check.partition("CMD ")[2].strip("[]").replace(",", " "))
        moved = [part.replace(":8001", f":{self._ports['stand-in:8001']}") for part in command[1:]]

        async def look() -> bool:
            asking = await asyncio.create_subprocess_exec(
                sys.executable, *moved, env=self._environments[name], cwd=self._folder / target,
                stdout=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            assert self._started[name].poll() is None, self.words()
            return await asking.wait() == 0

        await until(look, f"{name} is healthy")

    async def stop(self) -> dict[str, int]:
        """As `docker compose stop` does. -> the exit code of each service"""
        ours = {name: process for name, process in self._started.items() if name.startswith(OURS)}
        for process in ours.values():
            process.send_signal(signal.SIGTERM)
        return {name: await asyncio.to_thread(process.wait, 30) for name, process in ours.items()}

    def kill(self) -> None:
        """Leaves nothing running."""
        for process in self._started.values():
            process.kill()
            process.wait()

    def environment(self, name: str) -> dict[str, str]:
        """What a container was told."""
        return self._environments[name]

    def words(self) -> str:
        """What they said, the last of it."""
        logs = sorted(self._folder.glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text()[-1000:]}" for log in logs)

    def _moved(self, environment: Mapping[str, Any]) -> dict[str, str]:
        """The environment with names and ports of containers as they are here."""
        moved: dict[str, str] = {}
        for name, value in environment.items():
            for container, port in self._ports.items():
                value = value.replace(container, f"{LOCALHOST}:{port}")  # noqa: PLW2901 - one container after the other
            moved[name] = value
        return moved

    def _spawn(self, name: str, command: list[str | Path], told: Mapping[str, str], folder: Path) -> None:
        """Tied to the test's process, and with nothing of its environment but where programs are."""
        self._environments[name] = {"PATH": f"{BIN}:{os.defpath}", "NO_PROXY": LOCALHOST, **told}
        with (self._folder / f"{name}.log").open("ab") as log:
            self._started[name] = subprocess.Popen(
                command,
                cwd=folder,
                env=self._environments[name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=tie_to_parent(signal.SIGKILL),  # noqa: PLW1509 - it was made to be run there
            )


def address_of(service: Service, port: int) -> tuple[str, int, str]:
    """Where a server's health check asks, with the port that it has here."""
    asked = urlsplit(str(service["healthcheck"]["test"][-1]))
    return LOCALHOST, port, f"{asked.path}?{asked.query}"
