"""The NATS server as a test holds it: a connection for every user, the set-up's own words, and its sudden death."""

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any

from chassis.connection import Connection, NoAnswer
from chassis.event_store import Conflict, EventStore, OutcomeUnknown, StoreUnavailable
from chassis.jetstream_store import STREAM, JetStreamStore
from chassis.settings import Settings
from chassis.setup import NOT_READY, reconcile
from chassis.topology import SET_UP
from contracts.envelope import Recorded
from contracts.events import BlogWritten, Event, WorkClaimed
from contracts.services import GATEWAY
from contracts.subjects import WorkflowKey
from contracts.works import Work
from local.servers import Running
from tests.waiting import until

ACK_WAIT_S = 2.0
"""The shortest that may be set, so that a test waits no longer than it must."""

PATIENCE_S = 15.0
"""For what has to happen: a bound on a test that fails, never a pause."""


class Plant:
    """One NATS server, or a cluster of three. What a test opens here is closed at its end."""

    def __init__(self, running: Running, stack: AsyncExitStack) -> None:
        self.running, self._stack = running, stack

    @property
    def nodes(self) -> int:
        """How many servers there are."""
        return len(self.running.nats_names)

    @property
    def first_url(self) -> str:
        """The first of the servers, for what speaks to one alone."""
        return self.running.nats_url.partition(",")[0]

    async def connect(self, user: str) -> Connection:
        """A new connection of this user."""
        connection = await Connection.open(
            self.running.nats_url, user=user, password=self.running.passwords[user], name=f"test of {user}"
        )
        self._stack.push_async_callback(connection.close)
        return connection

    async def store(self, service: str) -> JetStreamStore:
        """The log for this service, on a connection of its own."""
        return JetStreamStore(await self.connect(service), service)

    async def set_up(self, **changes: Any) -> list[str]:
        """Runs the set-up step, with these settings changed. -> what it did"""
        connection = await self.connect(SET_UP)
        try:
            return await reconcile(connection, self.settings(**changes))
        finally:
            await connection.close()

    async def api(self, name: str, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What JetStream answers set-up; a cluster has first to agree who leads."""
        connection = await self.connect(SET_UP)

        async def ask() -> dict[str, Any] | None:
            try:
                answer = await connection.ask(f"$JS.API.{name}", json.dumps(request or {}).encode(), timeout_s=2)
            except NoAnswer:
                return None
            told: dict[str, Any] = json.loads(answer.data)
            return None if told.get("error", {}).get("err_code") in NOT_READY else told

        return await until(ask, f"JetStream answers {name}")

    def settings(self, **changes: Any) -> Settings:
        """The settings with which set-up runs here."""
        usual = {"nats_url": self.running.nats_url, "ack_wait_s": ACK_WAIT_S, "log_replicas": self.nodes}
        return settings(**usual | changes)

    def signal(self, number: signal.Signals) -> None:
        """Sends the server a signal, or each of several. A killed one is started again at once."""
        for name in self.running.nats_names:
            os.kill(self.running.pid(name), number)

    def pid_behind(self, connection: Connection) -> int:
        """The process of the server that this connection leads to."""
        address = connection._client.connected_url  # pyright: ignore[reportPrivateUsage]
        assert address
        urls = self.running.nats_url.split(",")
        return self.running.pid(self.running.nats_names[urls.index(address.geturl())])

    async def leader(self) -> str:
        """The server of a cluster that takes the log's events in, as the supervisor calls it."""

        async def look() -> str | None:
            leader = (await self.api(f"STREAM.INFO.{STREAM}"))["cluster"].get("leader")
            return leader and f"nats-{leader.rpartition('-')[2]}"

        return await until(look, "the log has a leader")

    async def kill_leader(self) -> None:
        """Ends it with kill -9. It is started again at once, and another one leads by then or soon."""
        os.kill(self.running.pid(await self.leader()), signal.SIGKILL)

    async def kill(self, *connections: Connection) -> None:
        """Ends the server, or all of them, with kill -9. Waits until these are connected to the next one, and that one
        can tell of the log."""
        reconnected = [asyncio.Event() for _ in connections]
        for connection, event in zip(connections, reconnected, strict=True):
            connection.on_reconnect.append(event.set)
        self.signal(signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(event.wait() for event in reconnected))
        await self.api(f"STREAM.INFO.{STREAM}")
        if self.nodes > 1:  # each server reads for itself before it answers reads
            store = await self.store(GATEWAY)
            await until(lambda: answers(store), "the log is read again")


def settings(**fields: Any) -> Settings:
    """The defaults, with these changed."""
    told: dict[str, Any] = {"log_bytes_max": 1024**3} | fields
    return Settings(**told)


async def answers(store: EventStore) -> bool:
    """Does the log answer reads now?"""
    try:
        await store.read(WorkflowKey("local", "nobody"))
    except StoreUnavailable:
        return False
    return True


def claimed(attempt: int = 1, worker: str = "w") -> WorkClaimed:
    """A small event; the store does not ask whether it fits the workflow."""
    return WorkClaimed(work=Work.BLOG, run=1, attempt=attempt, worker=worker)


def written(markdown: str) -> BlogWritten:
    """An event as large as one likes."""
    return BlogWritten(run=1, attempt=1, title="Tea", markdown=markdown)


async def append_by_id(store: EventStore, key: WorkflowKey, event: Event, *, id: str) -> Recorded[Event]:
    """Appends as every writer must: after a doubtful end it reads again and looks for its own event."""
    while True:
        history = await store.read(key)
        if found := history.find(id):
            return found
        with suppress(Conflict, OutcomeUnknown):
            return await store.append(history, event, id=id)
