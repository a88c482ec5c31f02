"""A NATS server of a test's own, to be killed and started again when the test says so."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from chassis.object_store import S3Store
from chassis.settings import Settings
from local.nats import Nats
from local.servers import temporary_folder
from local.spawn import Lines, kill_group, spawn
from local.state import DataDirectory
from tests.services.gateway.newsroom import Plant
from tests.waiting import until


class NatsServer:
    """Nobody restarts it but the test."""

    def __init__(self, nats: Nats) -> None:
        self._nats = nats
        self._process: asyncio.subprocess.Process | None = None
        self._lines: Lines | None = None

    @property
    def plant(self) -> Plant:
        """A plant of this server, and of an object store that is not there."""
        absent = S3Store(Settings.model_validate({"s3_endpoint": "127.0.0.1:1"}))
        return Plant(self._nats.url, self._nats.passwords, absent)

    async def start(self) -> None:
        """Starts it on the data it had, at the address it had."""
        self._process, self._lines = await spawn(self._nats.launch(settled=True), lambda _: None)
        await until(self._nats.answers, "NATS answers")

    async def kill(self) -> None:
        """As a power cut would."""
        if self._process and self._lines:
            kill_group(self._process.pid)
            await self._process.wait()
            await self._lines.end()
        self._process = None


@asynccontextmanager
async def nats_server() -> AsyncGenerator[NatsServer]:
    """A running server with the log set up on it."""
    with temporary_folder() as folder:
        data = DataDirectory(folder / "data")
        with data.held("no address, as this is a server for a test"):
            nats = Nats(data)
            nats.launch(settled=False)  # settles its port
            server = NatsServer(nats)
            await server.start()
            try:
                await server.plant.set_up()
                yield server
            finally:
                await server.kill()
