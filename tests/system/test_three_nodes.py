"""The whole system on a cluster of three NATS servers: the log lives through the loss of the one that leads it."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chassis.connection import Connection, NoAnswer
from chassis.event_store import StoreUnavailable
from chassis.jetstream_log import Entry, JetStreamLog
from chassis.jetstream_store import STREAM
from chassis.keeper import NO_CONSUMER
from chassis.log_copies import log_copies
from chassis.topology import SET_UP
from contracts.services import PROJECTOR
from local.nats import Nats, node_name
from local.servers import temporary_folder
from local.state import DataDirectory
from tests.system.system import System
from tests.system.test_kills import check_all
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORKFLOWS = 10
NODES = 3
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


@asynccontextmanager
async def connected(system: System, user: str) -> AsyncGenerator[Connection]:
    nats = Nats(DataDirectory(system.data))
    connection = await Connection.open(nats.url, user=user, password=nats.passwords[user], name="test")
    try:
        yield connection
    finally:
        await connection.close()


async def test_leader_killed_and_consumer_deleted_under_workflows_cost_none_of_them_anything() -> None:
    with temporary_folder() as folder:
        environment = {"PRESSROOM_STANDIN_LATENCY_S": "0.3"}
        async with (
            System(folder / "data", environment=environment, nodes=NODES) as system,
            connected(system, SET_UP) as operator,
            connected(system, PROJECTOR) as reader,
        ):
            log = Log(operator)
            ids = [await system.request(f"Topic {number}", **WISHES) for number in range(WORKFLOWS)]
            await system.until_event(ids[0], "research-completed")
            leader = await log.leader()
            assert leader
            await system.kill_and_see_it_back(node_name(int(leader.rpartition("-")[2])))
            await log.api(f"CONSUMER.DELETE.{STREAM}.writer", fine=(NO_CONSUMER,))  # by an operator
            check_all(await system.until_closed(ids))

            one, another, third = await until(lambda: all_copies(JetStreamLog(reader)), "each server gives its copy")
            assert one and one == another == third

            async def is_whole() -> bool:
                status = (await system.http.get("/status")).json()
                log: dict[str, Any] = status["log"] or {"replicas": []}
                return [one["is_current"] for one in log["replicas"]] == [True] * NODES and not status["trouble"]

            await until(is_whole, "the status tells three copies in order")
            assert (await system.run_verb("verify"))[0] == 0


async def all_copies(log: JetStreamLog) -> list[list[Entry]] | None:
    """What each of the servers has of the log, or None while one does not give all of it."""
    try:
        state = await log.state()
        async with log_copies(log.connection, state) as copies:
            stretch = await copies.read(0, state.last)
    except StoreUnavailable:
        return None
    return None if len(stretch.copies) < NODES or stretch.upto < state.last else list(stretch.copies.values())
