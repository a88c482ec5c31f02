"""When two of three NATS servers are down, requests are refused in time and reads go on; with them back all goes on."""

import asyncio

import pytest

from chassis import jetstream_store, majority
from chassis.majority import NO_MAJORITY
from contracts.services import GATEWAY
from local.servers import Running
from services.gateway import desk
from tests.services.gateway.nats_server import nats_server
from tests.services.gateway.newsroom import PATIENCE_S, newsroom
from tests.services.gateway.read_tables import ReadTables
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


AT_ONCE_S = 1.0


async def test_requests_are_refused_in_time_reads_go_on_and_so_does_all_with_the_servers_back(
    database: Running, tables: ReadTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jetstream_store, "APPEND_TIMEOUT_S", 2.0)
    monkeypatch.setattr(desk, "STALL_S", 2.0)
    monkeypatch.setattr(majority, "LOOK_S", 0.3)
    monkeypatch.setattr(majority, "LACKED_S", 1.0)
    async with nats_server(3) as nats, newsroom(nats.plant, postgres_url=database.postgres_url(GATEWAY)) as room:
        await tables.reach(1)
        assert (await room.post({"topic": "bees", "client_request_id": "before"})).status_code == 202
        two = nats.names[1:]
        await nats.kill(*two)
        async with asyncio.timeout(PATIENCE_S):
            refused = await room.post({"topic": "bees"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")

        async def is_known() -> bool:
            ready = await room.http.get("/health/ready")
            return ready.status_code == 503 and ready.json()["parts"] == {"nats": NO_MAJORITY}

        await until(is_known, "the gateway says that there is no majority")
        async with asyncio.timeout(AT_ONCE_S):
            refused = await room.post({"topic": "bees"})
        assert (refused.status_code, refused.json()["code"]) == (503, "log-unavailable")
        assert refused.headers["retry-after"] == "2"
        assert (await room.post({"topic": "bees", "client_request_id": "before"})).status_code == 202
        assert (await room.http.get("/workflows")).status_code == 200
        await nats.start(*two)

        async def is_taken_in() -> bool:
            return (await room.post({"topic": "bees", "client_request_id": "again"})).status_code == 202

        await until(is_taken_in, "requests are taken in again")
        assert (await room.post({"topic": "bees", "client_request_id": "again"})).status_code == 202
        assert (await room.http.get("/health/ready")).status_code == 200
