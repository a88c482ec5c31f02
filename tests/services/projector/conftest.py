"""The servers that the projector's tests share, one of each for every pytest worker."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack

import pytest

from contracts.subjects import WorkflowKey
from local.servers import Running, servers
from tests.services.projector.press import Press, new_key, set_up_press


@pytest.fixture(scope="session")
def press_servers() -> Generator[Running]:
    with servers(nats=True, postgres=True) as running:
        asyncio.run(set_up_press(running))
        yield running


@pytest.fixture
async def press(press_servers: Running) -> AsyncGenerator[Press]:
    """The shared log and database, to be left in order."""
    async with AsyncExitStack() as stack:
        yield Press(press_servers, stack)


@pytest.fixture
async def own_press() -> AsyncGenerator[Press]:
    """A log and a database for this test alone, to be broken as it pleases."""
    async with servers(nats=True, postgres=True) as running, AsyncExitStack() as stack:
        await set_up_press(running)
        yield Press(running, stack)


@pytest.fixture
def key() -> WorkflowKey:
    """A workflow that no other test knows of."""
    return new_key()
