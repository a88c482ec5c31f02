"""Servers of their own for what damages a log. Each test restores it, so that the next one finds it in order."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack

import pytest

from local.servers import Running, servers
from tests.services.projector.press import Press, set_up_press


@pytest.fixture(scope="session")
def damaged_servers() -> Generator[Running]:
    with servers(nats=True, postgres=True) as running:
        asyncio.run(set_up_press(running))
        yield running


@pytest.fixture
async def own_press(damaged_servers: Running) -> AsyncGenerator[Press]:
    """A log and a database that no test outside of this folder knows."""
    async with AsyncExitStack() as stack:
        press = Press(damaged_servers, stack)
        yield press
        if (await (await press.log()).state()).is_closed or await (await press.guard()).look():
            await press.restore()  # a test that failed keeps its trouble to itself
