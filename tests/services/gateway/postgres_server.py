"""A Postgres of a test's own, to be killed, frozen and started again when the test says so."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import psutil

from local.postgres import Postgres
from local.servers import temporary_folder
from local.spawn import Lines, spawn
from local.state import DataDirectory
from tests.services.gateway.read_tables import set_up_rooms
from tests.waiting import until


class PostgresServer:
    """Nobody restarts it but the test."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._process: asyncio.subprocess.Process | None = None
        self._lines: Lines | None = None

    def url(self, role: str) -> str:
        return self._postgres.url(role)

    async def start(self) -> None:
        """Starts it on the data it had, at the address it had."""
        self._process, self._lines = await spawn(self._postgres.launch(settled=True), lambda _: None)
        await until(self._postgres.answers, "Postgres answers")

    async def kill(self) -> None:
        """As a power cut would."""
        if self._process and self._lines:
            family = self._family()  # each of them has made itself a group of its own
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            await self._process.wait()
            await self._lines.end()
            psutil.wait_procs(family, timeout=5)  # Postgres does not start beside one that is left
        self._process = None

    def freeze(self) -> None:
        """All its processes stand still; the kernel still takes connections in for them."""
        for process in self._family():
            process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        for process in self._family():
            process.send_signal(signal.SIGCONT)

    def _family(self) -> list[psutil.Process]:
        assert self._process
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]


@asynccontextmanager
async def postgres_server() -> AsyncGenerator[PostgresServer]:
    """A running server whose rooms are set up."""
    with temporary_folder() as folder:
        data = DataDirectory(folder / "data")
        with data.held("no address, as this is a server for a test"):
            postgres = Postgres(data)
            postgres.launch(settled=False)  # settles its port
            server = PostgresServer(postgres)
            await server.start()
            try:
                await set_up_rooms(server.url)
                yield server
            finally:
                await server.kill()
