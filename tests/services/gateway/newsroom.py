"""A gateway at work: its parts over a real log, served on a real port, with the stages played by the test."""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from chassis.connection import Connection
from chassis.event_store import History
from chassis.health import Health
from chassis.jetstream_log import STREAM_INFO
from chassis.jetstream_store import STREAM, JetStreamStore
from chassis.majority import Majority
from chassis.object_store import S3Store
from chassis.settings import Settings
from chassis.setup import reconcile
from chassis.standing import has_history
from chassis.topology import SET_UP
from contracts.events import Event, WorkClaimed, WorkflowCancelled, WorkflowCompleted, WorkflowRequested
from contracts.platforms import Platform
from contracts.services import GATEWAY, ILLUSTRATOR, RESEARCH, WRITER
from contracts.subjects import WRITTEN_BY, EventSubject, WorkflowKey
from contracts.works import Kind, Work
from local.servers import Running
from services.gateway.__main__ import SOCKET_FRAME_BYTES_MAX, bind
from services.gateway.app import make_app
from services.gateway.desk import OWNER, Desk
from services.gateway.library import Library
from services.gateway.lookout import Lookout
from services.gateway.parts import Parts
from services.gateway.protocols import HttpProtocol, WebsocketProtocol
from services.gateway.refolding import Refolds
from services.gateway.roll import Roll
from services.gateway.sockets import Places
from services.gateway.tail import Tails
from tests.services.served import served

SERVICE_OF = {
    Kind.RESEARCH: RESEARCH,
    Kind.BLOG: WRITER,
    Kind.SOCIAL: WRITER,
    Kind.ILLUSTRATION: ILLUSTRATOR,
}

NO_POSTGRES = "postgresql://gateway@127.0.0.1:1/pressroom"
"""Nobody listens there."""

PATIENCE_S = 15.0
"""So long a test waits for what has to come."""


@dataclass(frozen=True)
class Plant:
    """Where the servers are, and how each user gets in."""

    nats_url: str
    passwords: dict[str, str]
    gallery: S3Store

    async def connection(self, user: str) -> Connection:
        return await Connection.open(self.nats_url, user=user, password=self.passwords[user], name=user)

    async def set_up(self) -> None:
        """Brings the log to its declared shape."""
        connection = await self.connection(SET_UP)
        await reconcile(
            connection,
            Settings.model_validate({"log_bytes_max": 256 * 1024**2, "log_replicas": len(self.nats_url.split(","))}),
        )
        await connection.close()


def s3_settings(running: Running) -> Settings:
    access = running.s3
    return Settings.model_validate(
        {
            "s3_endpoint": access.endpoint,
            "s3_access_key": access.access_key,
            "s3_secret_key": access.secret_key,
            "s3_bucket": access.bucket,
        }
    )


class Newsroom:
    """What a test does with a gateway: asks it over the wire, and plays the stages behind it."""

    parts: Parts
    app: FastAPI
    place: str
    http: httpx2.AsyncClient

    def __init__(self, plant: Plant, stack: AsyncExitStack) -> None:
        self._plant, self._stack = plant, stack
        self._stores: dict[str, JetStreamStore] = {}
        self._connections: dict[str, Connection] = {}

    # ------------------------------------------------------------ the log behind it

    async def connection(self, user: str) -> Connection:
        if user not in self._connections:
            connection = self._connections[user] = await self._plant.connection(user)
            self._stack.push_async_callback(connection.close)
        return self._connections[user]

    async def store(self, service: str) -> JetStreamStore:
        if service not in self._stores:
            self._stores[service] = JetStreamStore(await self.connection(service), service)
        return self._stores[service]

    async def record(self, key: WorkflowKey, *events: Event) -> None:
        """Appends these events as the services whose they are."""
        for event in events:
            store = await self.store(service_of(event))
            await store.append(await store.read(key), event, id=str(uuid.uuid4()))

    async def record_unreadable(self, key: WorkflowKey) -> None:
        """Appends an event that only newer code can read."""
        subject = EventSubject(key, WRITER, "from-the-future", (await self.history(key)).revision + 1)
        await (await self.connection(WRITER)).ask(str(subject), b"{}", timeout_s=PATIENCE_S)

    async def history(self, key: WorkflowKey) -> History:
        return await (await self.store(GATEWAY)).read(key)

    async def log_length(self) -> int:
        """The number of events in the whole log."""
        told = await (await self.connection(SET_UP)).ask(f"$JS.API.STREAM.INFO.{STREAM}", b"", timeout_s=PATIENCE_S)
        return json.loads(told.data)["state"]["messages"]

    # ------------------------------------------------------------ its clients

    @asynccontextmanager
    async def socket(self, **options: Any) -> AsyncGenerator["Client"]:
        async with connect(f"ws://{self.place}/content", proxy=None, compression=None, **options) as socket:
            yield Client(socket)

    async def post(self, body: object, **options: Any) -> httpx2.Response:
        return await self.http.post("/workflows", json=body, **options)

    async def requested(self, **request: Any) -> WorkflowKey:
        """A workflow that was asked for over HTTP."""
        answer = await self.post({"topic": "bees", **request})
        return WorkflowKey(OWNER, answer.json()["workflow_id"])


class Client:
    """A plain websocket client."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, frame: object) -> None:
        await self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            return json.loads(await self.socket.recv(decode=True))

    async def hear_all(self) -> list[dict[str, Any]]:
        """Every frame that still comes until the server closes."""
        frames: list[dict[str, Any]] = []
        with suppress(ConnectionClosed):
            while True:
                frames.append(await self.hear())
        return frames

    async def closed(self) -> int | None:
        """The code that the server closed with."""
        async with asyncio.timeout(PATIENCE_S):
            await self.socket.wait_closed()
        return self.socket.close_code


@asynccontextmanager
async def newsroom(
    plant: Plant,
    *,
    researches: bool = True,
    sockets_max: int = 100,
    postgres_url: str = NO_POSTGRES,
    roll: Roll | None = None,
) -> AsyncGenerator[Newsroom]:
    """A gateway as services/gateway/__main__.py puts it together."""
    async with AsyncExitStack() as stack:
        room = Newsroom(plant, stack)
        connection = await room.connection(GATEWAY)
        store = await room.store(GATEWAY)
        library = await Library.open(postgres_url)
        stack.push_async_callback(library.close)
        majority = Majority(connection, STREAM_INFO)
        await stack.enter_async_context(majority.watched())
        room.parts = Parts(
            desk=Desk(
                store, researches=researches, trouble=majority.lacking, is_known=partial(has_history, connection)
            ),
            tails=Tails(connection, store),
            library=library,
            gallery=plant.gallery,
            health=Health(nats=majority.trouble),
            lookout=Lookout(connection, library, roll or await Roll.listening(connection)),
            refolds=Refolds(connection),
            places=Places(sockets_max),
        )
        listener = bind("127.0.0.1", 0)
        listener.listen(100)
        room.app = make_app(room.parts)
        room.place = await stack.enter_async_context(
            served(
                room.app,
                listener,
                http=HttpProtocol,
                ws=WebsocketProtocol,
                ws_max_size=SOCKET_FRAME_BYTES_MAX,
                ws_per_message_deflate=False,
            )
        )
        stack.callback(room.parts.places.closing.set)
        room.http = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=f"http://{room.place}", trust_env=False, timeout=PATIENCE_S)
        )
        yield room


def service_of(event: Event) -> str:
    """Who writes such an event."""
    if event.type in WRITTEN_BY:
        return WRITTEN_BY[event.type]
    work = getattr(event, "work", None)
    return SERVICE_OF[Work(work).kind] if work else ILLUSTRATOR


def claimed(work: Work, attempt: int = 1) -> WorkClaimed:
    return WorkClaimed(work=work, run=1, attempt=attempt, worker="test")


def asked(topic: str = "bees") -> WorkflowRequested:
    return WorkflowRequested(topic=topic, research=False, platforms=(Platform.LINKEDIN,))


COMPLETED = WorkflowCompleted(run=1)
CANCELLED = WorkflowCancelled(run=1, reason="Changed my mind.")


def new_key() -> WorkflowKey:
    """A workflow that no other test knows of."""
    return WorkflowKey(OWNER, uuid.uuid4().hex)
