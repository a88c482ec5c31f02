"""A press for the projector's tests: a real log, a real Postgres, events written by the services whose they are."""

import asyncio
import contextlib
import json
import os
import random
import signal
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.made_up import Author
from chassis.connection import Connection
from chassis.database import open_connection
from chassis.event_store import Conflict, OutcomeUnknown, StoreUnavailable
from chassis.jetstream_log import Entry, JetStreamLog
from chassis.jetstream_store import STREAM, JetStreamStore
from chassis.settings import Settings
from chassis.setup import reconcile
from chassis.topology import SET_UP, stream
from contracts.envelope import ID, TIME
from contracts.events import Event
from contracts.services import GATEWAY, PROJECTOR, WRITER
from contracts.subjects import EventSubject, WorkflowKey, parse
from local.postgres import ADMIN
from local.servers import Running
from services.projector.log.guard import Guard
from services.projector.log.restore.plan import Plan
from services.projector.log.restore.restoration import Restoration
from services.projector.progress import Told
from services.projector.projector import Projector
from services.projector.setup import set_up
from services.projector.verify.examination import verify
from tests.contracts.given import NOON, writer_of
from tests.waiting import until

if TYPE_CHECKING:
    from chassis.database import Connection as Database

OWNER = "local"
SETTINGS = Settings.model_validate({"log_bytes_max": 1024**3})


@contextmanager
def quietly(_: str) -> Generator[Told]:
    """Shows nobody how far something has come."""
    yield lambda done, of: None


class Press:
    """One log and one database. What a test opens here is closed at its end."""

    def __init__(self, running: Running, stack: AsyncExitStack) -> None:
        self.running, self._stack = running, stack
        self._connections: dict[str, Connection] = {}
        self._databases: dict[str, Database] = {}

    # ------------------------------------------------------------ the log

    async def connection(self, user: str) -> Connection:
        """This user's connection to NATS."""
        if user not in self._connections:
            connection = self._connections[user] = await self.connect(user)
            self._stack.push_async_callback(connection.close)
        return self._connections[user]

    async def connect(self, user: str) -> Connection:
        """One more connection of this user, to be closed by whoever asked for it."""
        return await Connection.open(
            self.running.nats_url, user=user, password=self.running.passwords[user], name=f"test of {user}"
        )

    async def record(self, key: WorkflowKey, *events: Event) -> int:
        """Appends these events as the services whose they are. -> the position of the last one"""
        position = 0
        for event in events:
            position = await self._record(key, event)
        return position

    async def _record(self, key: WorkflowKey, event: Event) -> int:
        service, event_id, position = writer_of(event), str(uuid.uuid4()), 0
        connection = await self.connection(service)
        store = JetStreamStore(connection, service)

        async def is_appended() -> bool:
            nonlocal position
            try:
                position = (await store.append(await store.read(key), event, id=event_id)).position
            except Conflict:
                if not connection.has_cluster:
                    raise
                return False  # the copy that was read lags behind the log
            return True

        await until(is_appended, f"{event.type} is appended")
        return position

    async def publish(
        self,
        key: WorkflowKey,
        revision: int,
        body: bytes,
        *,
        event: str = "blog-written",
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """Publishes whatever an operator may publish by hand, by default with proper headers. -> its position"""
        subject = str(EventSubject(key, WRITER, event, revision))
        usual = {ID: str(uuid.uuid4()), TIME: NOON.isoformat()}
        told = dict(usual if headers is None else headers)
        answer = await (await self.connection(WRITER)).ask(subject, body, headers=told, timeout_s=10)
        return json.loads(answer.data)["seq"]

    async def log(self) -> JetStreamLog:
        """The whole log, as the projector reads it."""
        return JetStreamLog(await self.connection(PROJECTOR))

    async def api(self, name: str, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What JetStream answers set-up."""
        answer = await (await self.connection(SET_UP)).ask(
            f"$JS.API.{name}", json.dumps(request or {}).encode(), timeout_s=10
        )
        return json.loads(answer.data)

    # ------------------------------------------------------------ the tables

    async def database(self, role: str = ADMIN) -> "Database":
        """This role's connection to Postgres."""
        known = self._databases.get(role)
        if known is None or known.is_closed():
            known = self._databases[role] = await open_connection(
                self.running.postgres_url(role), name="test", command_timeout_s=20
            )
            self._stack.callback(known.terminate)
        return known

    @asynccontextmanager
    async def own_database(self, role: str) -> AsyncGenerator["Database"]:
        """A connection to Postgres that nobody else uses."""
        connection = await open_connection(self.running.postgres_url(role), name="test", command_timeout_s=20)
        try:
            yield connection
        finally:
            connection.terminate()

    def environment(self, user: str) -> dict[str, str]:
        """What a process of this service is told."""
        return {
            "PATH": os.environ["PATH"],
            "PRESSROOM_NATS_URL": self.running.nats_url,
            "PRESSROOM_NATS_USER": user,
            "PRESSROOM_NATS_PASSWORD": self.running.passwords[user],
            "PRESSROOM_POSTGRES_URL": self.running.postgres_url(user),
        }

    async def rows(self, table: str, key: WorkflowKey) -> list[dict[str, Any]]:
        """A workflow's rows, as the gateway sees them."""
        found = await (await self.database(GATEWAY)).fetch(
            f"SELECT * FROM read.{table} WHERE owner = $1 AND workflow_id = $2",  # noqa: S608 - a name of our own
            *key,
        )
        return [dict(one) for one in found]

    async def row(self, table: str, key: WorkflowKey) -> dict[str, Any]:
        """A workflow's only row."""
        (row,) = await self.rows(table, key)
        return row

    async def checkpoint(self) -> dict[str, Any]:
        """The live checkpoint, as the gateway sees it; empty before there is one."""
        found = await (await self.database(GATEWAY)).fetchrow("SELECT * FROM read.checkpoint")
        return dict(found) if found else {}

    @asynccontextmanager
    async def projecting(self, postgres_url: str | None = None) -> AsyncGenerator[Projector]:
        """A projector at work, which finds Postgres there."""
        connection = await self.connect(PROJECTOR)
        projector = Projector(connection, postgres_url or self.running.postgres_url(PROJECTOR))
        working = asyncio.create_task(projector.run())
        try:
            yield projector
        finally:
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
            await connection.close()

    async def until_projected(self, position: int | None = None) -> None:
        """Waits until the tables contain the event at this position, by default the last one of the log."""
        wanted = await (await self.log()).end() if position is None else position

        async def is_there() -> bool:
            with contextlib.suppress(Exception):  # the views may not be there yet, or Postgres not back
                return (await self.checkpoint()).get("position", -1) >= wanted
            return False

        await until(is_there, f"the tables reach {wanted}")

    async def project(self, position: int | None = None) -> None:
        """Has a projector catch up, and go again."""
        async with self.projecting():
            await self.until_projected(position)

    async def until_trouble(self, projector: Projector, *words: str) -> None:
        """Waits until the projector says that this is in its way, in one of these ways."""

        async def says() -> bool:
            return any(one in (projector.trouble or "") for one in words)

        await until(says, f"the projector says {words!r}")

    async def differences(self) -> list[str]:
        """Where the tables are not what an independent fold of the log says, in words."""
        return [str(one) for one in await verify(await self.log(), await self.database(PROJECTOR))]

    # ------------------------------------------------------------ what happens to servers

    async def make_log_anew(self) -> None:
        """Deletes the log and sets it up again, as one who lost it would."""
        await self.api(f"STREAM.DELETE.{STREAM}")
        await _set_up_log(self.running)

    async def roll_log_back(self, position: int) -> None:
        """Takes the log back to this position, as the loss of its last blocks would; its id stays."""
        kept = [entry for entry in await self.entries() if entry.position <= position]
        await self.api(f"STREAM.DELETE.{STREAM}")
        await self.api(f"STREAM.CREATE.{STREAM}", stream(bytes_max=SETTINGS.log_bytes_max))
        await self.set_up_log()
        for entry in kept:
            writer = await self.connection(parse(entry.subject).service)
            await writer.ask(entry.subject, entry.body, headers=dict(entry.headers), timeout_s=10)

    async def restoration(self, nats: Connection | None = None, *, of: str | None = None) -> Restoration:
        """A restore of the log, as set-up's user; by default over a connection that lasts."""
        return Restoration(
            nats or await self.connection(SET_UP), await self.database(PROJECTOR), SETTINGS, quietly, of=of
        )

    async def restore(self) -> Plan:
        """Restores the log. -> what was done"""
        return await (await self.restoration()).run()

    async def guard(self) -> Guard:
        """One that looks when a test asks it to."""
        return Guard(await self.log(), self.running.postgres_url(PROJECTOR))

    async def entries(self) -> list[Entry]:
        """The whole log, as far as it can be read."""
        log, entries = await self.log(), list[Entry]()
        while found := await log.read(entries[-1].position if entries else 0):
            entries += found
        return entries

    async def set_up_log(self) -> list[str]:
        """The set-up step, as each start takes it. -> what it did"""
        return await reconcile(await self.connection(SET_UP), SETTINGS)

    async def make_database_anew(self, *, keep: str = "nothing") -> None:
        """Empties the database, but for this schema, and sets it up again."""
        schemas = await (await self.database()).fetch(
            "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(read|projection|archive)' AND nspname <> $1", keep
        )
        for schema in schemas:
            await (await self.database()).execute(f"DROP SCHEMA {schema['nspname']} CASCADE")
        await set_up(self.running.postgres_url(ADMIN))

    async def until_recorded(self, key: WorkflowKey, *events: Event) -> None:
        """Appends these events, over whatever happens to the log meanwhile."""
        for revision, event in enumerate(events, start=1):

            async def is_there(revision: int = revision, event: Event = event) -> bool:
                with contextlib.suppress(StoreUnavailable, OutcomeUnknown, Conflict):
                    store = JetStreamStore(await self.connection(writer_of(event)), writer_of(event))
                    if (await store.read(key)).revision < revision:
                        await self.record(key, event)
                    return True
                return False

            await until(is_there, f"{event.type} is recorded")

    def kill(self, name: str) -> None:
        """Ends `nats` or `postgres` with kill -9; it is started again at once."""
        os.kill(self.running.pid(name), signal.SIGKILL)


async def set_up_press(running: Running) -> None:
    """Both set-up steps, as `./run` takes them."""
    await _set_up_log(running)
    await set_up(running.postgres_url(ADMIN))


async def _set_up_log(running: Running) -> None:
    connection = await Connection.open(
        running.nats_url, user=SET_UP, password=running.passwords[SET_UP], name="set-up of the tests"
    )
    await reconcile(connection, SETTINGS)
    await connection.close()


def new_key() -> WorkflowKey:
    """A workflow that no other test knows of."""
    return WorkflowKey(OWNER, uuid.uuid4().hex)


def made_up(seed: int, count: int) -> dict[WorkflowKey, list[Event]]:
    """Histories of every kind."""
    author = Author(seed)
    return {new_key(): author.history() for _ in range(count)}


async def record_mixed(
    press: Press, histories: dict[WorkflowKey, list[Event]], *, every: int = 0, then: Callable[[], None] = lambda: None
) -> None:
    """Appends the histories side by side, an event here, an event there; about every so many events something else."""
    chance = random.Random(len(histories))
    left = {key: list(events) for key, events in histories.items()}
    while left:
        key = chance.choice(list(left))
        await press.record(key, left[key].pop(0))
        if not left[key]:
            del left[key]
        if every and chance.randrange(every) == 0:
            then()
