"""The servers that these tests share, one of each for every pytest worker; each test has its own workflow."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack

import pytest

from chassis.connection import Connection
from chassis.setup import reconcile
from chassis.topology import SET_UP
from contracts.subjects import WorkflowKey
from local.servers import Running, servers
from tests.chassis.plant import ACK_WAIT_S, Plant, settings


@pytest.fixture
def key() -> WorkflowKey:
    """A workflow that no other test knows of."""
    return WorkflowKey("local", str(uuid.uuid4()))


@pytest.fixture(scope="session")
def nats_server() -> Generator[Running]:
    with servers(nats=True) as running:
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
    """A NATS server for this test alone, to be broken as it pleases."""
    async with servers(nats=True) as running, AsyncExitStack() as stack:
        await _set_up(running)
        yield Plant(running, stack)


@pytest.fixture
async def bare_plant() -> AsyncGenerator[Plant]:
    """A NATS server on which set-up has not run yet."""
    async with servers(nats=True) as running, AsyncExitStack() as stack:
        yield Plant(running, stack)


async def _set_up(running: Running) -> None:
    connection = await Connection.open(
        running.nats_url, user=SET_UP, password=running.passwords[SET_UP], name="set-up of the tests"
    )
    await reconcile(connection, settings(ack_wait_s=ACK_WAIT_S))
    await connection.close()
