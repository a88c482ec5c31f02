"""The servers that the gateway's tests share, one of each for every pytest worker, and a gateway over them."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import closing

import pytest
import pytest_asyncio

from chassis.object_store import S3Store
from contracts.services import GATEWAY
from local.servers import Running, servers
from tests.services.gateway.newsroom import Newsroom, Plant, newsroom, s3_settings
from tests.services.gateway.read_tables import ReadTables, read_tables, set_up_rooms


@pytest.fixture(scope="session")
def plant_servers() -> Generator[Running]:
    with servers(nats=True, s3=True) as running:
        yield running


@pytest.fixture(scope="session")
def plant(plant_servers: Running) -> Generator[Plant]:
    """NATS and S3, to be left as they were found."""
    with closing(S3Store(s3_settings(plant_servers))) as gallery:
        plant = Plant(plant_servers.nats_url, dict(plant_servers.passwords), gallery)
        asyncio.run(plant.set_up())
        yield plant


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def room(plant: Plant) -> AsyncGenerator[Newsroom]:
    """A gateway over the shared servers, one for each file of tests. Its Postgres is not there."""
    async with newsroom(plant) as room:
        yield room


@pytest.fixture(scope="session")
def database() -> Generator[Running]:
    """Postgres with its rooms set up."""
    with servers(postgres=True) as running:
        asyncio.run(set_up_rooms(running.postgres_url))
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def tables(database: Running) -> AsyncGenerator[ReadTables]:
    """Empty read tables, for one test."""
    async with read_tables(database.postgres_url) as tables:
        yield tables


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def reading_room(plant: Plant, database: Running) -> AsyncGenerator[Newsroom]:
    """A gateway that may read the tables as well."""
    async with newsroom(plant, postgres_url=database.postgres_url(GATEWAY)) as room:
        yield room
