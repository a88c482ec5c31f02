"""The servers that the gateway's tests share, one of each for every pytest worker, and a gateway over them."""

import asyncio
from collections.abc import AsyncGenerator, Generator

import pytest
import pytest_asyncio

from chassis.object_store import S3Store
from local.servers import servers
from tests.services.gateway.newsroom import Newsroom, Plant, newsroom, s3_settings


@pytest.fixture(scope="session")
def plant() -> Generator[Plant]:
    """NATS and S3, to be left as they were found."""
    with servers(nats=True, s3=True) as running:
        plant = Plant(running.nats_url, dict(running.passwords), S3Store(s3_settings(running)))
        asyncio.run(plant.set_up())
        yield plant


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def room(plant: Plant) -> AsyncGenerator[Newsroom]:
    """A gateway over the shared servers, one for each file of tests."""
    async with newsroom(plant) as room:
        yield room
