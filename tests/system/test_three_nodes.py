"""The whole system on a cluster of three NATS servers: the log lives through the loss of the one that leads it."""

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chassis.connection import Connection, NoAnswer
from chassis.jetstream_store import STREAM
from chassis.keeper import NO_CONSUMER
from chassis.topology import SET_UP
from local.nats import Nats, node_name
from local.servers import temporary_folder
from local.state import DataDirectory
from tests.system.system import System
from tests.system.test_kills import check_all
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORKFLOWS = 10
NODES = (1, 2, 3)
WISHES: dict[str, Any] = {"research": True, "platforms": ["linkedin", "x"]}


class Log:
    """The log as set-up sees it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def api(
        self, name: str, request: dict[str, Any] | None = None, *, fine: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """What JetStream answers, once it does so without an error, or with one of these."""

        async def ask() -> dict[str, Any] | None:
            try:
                answer = await self._connection.ask(f"$JS.API.{name}", json.dumps(request or {}).encode(), timeout_s=2)
            except NoAnswer:
                return None
            told: dict[str, Any] = json.loads(answer.data)
            return None if told.get("error", {}).get("err_code") not in (None, *fine) else told

        return await until(ask, f"JetStream answers {name}")

    async def leader(self) -> str | None:
        cluster: dict[str, Any] = (await self.api(f"STREAM.INFO.{STREAM}"))["cluster"]
        return cluster.get("leader")

    async def follow(self, server: str) -> None:
        """Has this server lead."""

        async def leads() -> bool:
            if await self.leader() == server:
                return True
            await self.api(f"STREAM.LEADER.STEPDOWN.{STREAM}", {"placement": {"preferred": server}})
            return False

        await until(leads, f"{server} leads")

    async def events(self) -> list[tuple[int, str, bytes]]:
        """Every message that the leader has: position, subject, body."""
        last = (await self.api(f"STREAM.INFO.{STREAM}"))["state"]["last_seq"]
        told = [(await self.api(f"STREAM.MSG.GET.{STREAM}", {"seq": seq}))["message"] for seq in range(1, last + 1)]
        return [(one["seq"], one["subject"], base64.b64decode(one["data"])) for one in told]


@asynccontextmanager
async def log_of(system: System) -> AsyncGenerator[Log]:
    nats = Nats(DataDirectory(system.data))
    connection = await Connection.open(nats.url, user=SET_UP, password=nats.passwords[SET_UP], name="test")
    try:
        yield Log(connection)
    finally:
        await connection.close()


async def test_leader_killed_and_consumer_deleted_under_workflows_cost_none_of_them_anything() -> None:
    with temporary_folder() as folder:
        environment = {"PRESSROOM_STANDIN_LATENCY_S": "0.3"}
        async with System(folder / "data", environment=environment, nodes=3) as system, log_of(system) as log:
            ids = [await system.request(f"Topic {number}", **WISHES) for number in range(WORKFLOWS)]
            await system.until_event(ids[0], "research-completed")
            leader = await log.leader()
            assert leader
            await system.kill_and_see_it_back(node_name(int(leader.rpartition("-")[2])))
            await log.api(f"CONSUMER.DELETE.{STREAM}.writer", fine=(NO_CONSUMER,))  # by an operator
            check_all(await system.until_closed(ids))

            told = [await copy_of(log, f"pressroom-{number}") for number in NODES]
            assert told[0] and told[0] == told[1] == told[2]

            async def is_whole() -> bool:
                status = (await system.http.get("/status")).json()
                log: dict[str, Any] = status["log"] or {"replicas": []}
                return [one["is_current"] for one in log["replicas"]] == [True] * 3 and not status["trouble"]

            await until(is_whole, "the status tells three copies in order")
            assert (await system.run_verb("verify"))[0] == 0


async def copy_of(log: Log, server: str) -> list[tuple[int, str, bytes]]:
    """What this server has of the log."""
    await log.follow(server)
    return await log.events()
