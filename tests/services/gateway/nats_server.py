"""A NATS server of a test's own, or a cluster, to be killed and started again when the test says so."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from chassis.object_store import S3Store
from chassis.settings import Settings
from local.nats import Nats, nats_servers, settle_nodes
from local.servers import temporary_folder
from local.spawn import Lines, kill_group, spawn
from local.state import DataDirectory
from tests.services.gateway.newsroom import Plant
from tests.waiting import until


class NatsServer:
    """Nobody restarts it but the test."""

    def __init__(self, servers: list[Nats]) -> None:
        self._servers = {nats.name: nats for nats in servers}
        self._running: dict[str, tuple[asyncio.subprocess.Process, Lines]] = {}

    @property
    def names(self) -> list[str]:
        """What the server is called, or each of several."""
        return list(self._servers)

    @property
    def plant(self) -> Plant:
        """A plant of this server, and of an object store that is not there."""
        absent = S3Store(Settings.model_validate({"s3_endpoint": "127.0.0.1:1"}))
        first = self._servers[self.names[0]]  # each knows of all
        return Plant(first.url, first.passwords, absent)

    async def start(self, *names: str) -> None:
        """Starts these, or all, on the data they had, at the address they had."""
        for name in names or self.names:
            nats = self._servers[name]
            self._running[name] = await spawn(nats.launch(settled=True), lambda _: None)
            await until(nats.answers, f"{name} answers")

    async def kill(self, *names: str) -> None:
        """Ends these, or all, as a power cut would."""
        for process, lines in [self._running.pop(name) for name in names or list(self._running)]:
            kill_group(process.pid)
            await process.wait()
            await lines.end()


@asynccontextmanager
async def nats_server(nodes: int = 1) -> AsyncGenerator[NatsServer]:
    """A running server, or a cluster, with the log set up on it."""
    with temporary_folder() as folder:
        data = DataDirectory(folder / "data")
        with data.held("no address, as this is a server for a test"):
            settle_nodes(data, nodes)
            async with started(nats_servers(data)) as server:
                yield server


@asynccontextmanager
async def started(servers: list[Nats]) -> AsyncGenerator[NatsServer]:
    """These servers, running, with the log set up on them."""
    for nats in servers:
        nats.launch(settled=False)  # settles its ports
    server = NatsServer(servers)
    await server.start()
    try:
        await server.plant.set_up()
        yield server
    finally:
        await server.kill()
