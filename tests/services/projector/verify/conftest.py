"""A log that several tests of verify share, and the tables made from it, for each of them to damage."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack

import pytest

from local.servers import Running, servers
from tests.services.projector.press import Press
from tests.services.projector.verify.planted import fill


@pytest.fixture(scope="package")
def filled_log() -> Generator[Running]:
    """A log that each test finds as it is here, and leaves so."""
    with servers(nats=True, postgres=True) as running:
        asyncio.run(fill(running))
        yield running


@pytest.fixture
async def filled(filled_log: Running) -> AsyncGenerator[Press]:
    """The log, and tables that were made from it a moment ago, to be damaged."""
    async with AsyncExitStack() as stack:
        press = Press(filled_log, stack)
        await press.make_database_anew()
        await press.project()
        yield press
