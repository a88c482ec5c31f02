"""When two of three NATS servers are down, requests are refused in time and reads go on; with them back all goes on."""

import asyncio

import pytest

from chassis import jetstream_store
from contracts.services import GATEWAY
from local.servers import Running
from services.gateway import desk
from tests.services.gateway.nats_server import nats_server
from tests.services.gateway.newsroom import PATIENCE_S, newsroom
from tests.services.gateway.read_tables import ReadTables
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_requests_are_refused_in_time_reads_go_on_and_so_does_all_with_the_servers_back(
    database: Running, tables: ReadTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jetstream_store, "APPEND_TIMEOUT_S", 2.0)
    monkeypatch.setattr(desk, "STALL_S", 2.0)
    async with nats_server(3) as nats, newsroom(nats.plant, postgres_url=database.postgres_url(GATEWAY)) as room:
        await tables.reach(1)
        assert (await room.post({"topic": "bees"})).status_code == 202
        two = nats.names[1:]
        await nats.kill(*two)
        async with asyncio.timeout(PATIENCE_S):
            refused = await room.post({"topic": "bees"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        read = await room.http.get("/workflows")
        assert read.status_code == 200
        await nats.start(*two)

        async def is_taken_in() -> bool:
            return (await room.post({"topic": "bees", "client_request_id": "again"})).status_code == 202

        await until(is_taken_in, "requests are taken in again")
        assert (await room.post({"topic": "bees", "client_request_id": "again"})).status_code == 202
