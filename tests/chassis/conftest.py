"""The servers that these tests share, one of each for every pytest worker; each test has its own workflow."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from contracts.subjects import WorkflowKey
from local.servers import Running, servers
from tests.chassis.plant import Plant
from tests.nodes import NODES


@pytest.fixture
def key() -> WorkflowKey:
    """A workflow that no other test knows of."""
    return WorkflowKey("local", str(uuid.uuid4()))


@pytest.fixture(scope="session")
def nats_server() -> Generator[Running]:
    with servers(nats=True, nodes=NODES) as running:
        asyncio.run(_set_up(running))
        yield running


@pytest.fixture(scope="session")
def s3_server() -> Generator[Running]:
    with servers(s3=True) as running:
        yield running


@pytest.fixture
async def plant(nats_server: Running) -> AsyncGenerator[Plant]:
    """The shared NATS server, to be left as it was found."""
    async with AsyncExitStack() as stack:
        yield Plant(nats_server, stack)


@pytest.fixture
async def own_plant() -> AsyncGenerator[Plant]:
    """A NATS server, or a cluster, for this test alone, to be broken as it pleases."""
    async with plant_of(NODES) as plant:
        await plant.set_up()
        yield plant


@pytest.fixture
async def lone_plant() -> AsyncGenerator[Plant]:
    """A NATS server that is alone on every run, for this test alone."""
    async with plant_of(1) as plant:
        await plant.set_up()
        yield plant


@pytest.fixture
async def cluster_plant() -> AsyncGenerator[Plant]:
    """A cluster of three NATS servers on every run, for this test alone."""
    async with plant_of(3) as plant:
        await plant.set_up()
        yield plant


@pytest.fixture
async def bare_plant() -> AsyncGenerator[Plant]:
    """A NATS server on which set-up has not run yet."""
    async with plant_of(NODES) as plant:
        yield plant


@asynccontextmanager
async def plant_of(nodes: int) -> AsyncGenerator[Plant]:
    """So many servers, for as long as they are needed."""
    async with servers(nats=True, nodes=nodes) as running, AsyncExitStack() as stack:
        yield Plant(running, stack)


async def _set_up(running: Running) -> None:
    async with AsyncExitStack() as stack:
        await Plant(running, stack).set_up()
