"""The connection to NATS: every question ends, and ends at once where the reason is known."""

import asyncio
import json
import os
import signal
from contextlib import suppress
from typing import Any
from urllib.parse import urlparse, urlsplit

import pytest
from nats.aio.client import Srv
from nats.aio.msg import Msg
from structlog.typing import EventDict

from chassis import connection as connection_rules
from chassis.connection import Connection, Disconnected, NoAnswer, NobodyThere
from chassis.event_store import NotAllowed, StoreUnavailable
from chassis.jetstream_store import DIRECT_GET, JetStreamStore
from contracts import subjects
from contracts.events import BlogWritten
from contracts.services import GATEWAY, WRITER
from contracts.subjects import WorkflowKey
from tests.chassis.plant import PATIENCE_S, Plant
from tests.raw_nats import send_raw

AT_ONCE_S, LATE_S = 2, 30


async def test_wrong_password_is_refused_at_once(plant: Plant, lines: list[EventDict]) -> None:
    async with asyncio.timeout(AT_ONCE_S):
        with pytest.raises(NotAllowed, match="'writer' or its password is not known") as refused:
            await Connection.open(plant.running.nats_url, user=WRITER, password="canary", name="test")
    assert "canary" not in str(refused.value)
    assert "Authorization" not in repr(lines)  # said once; that the line was cut may be said as well


async def test_question_to_nobody_ends_at_once(plant: Plant, key: WorkflowKey) -> None:
    connection = await plant.connect(WRITER)
    async with asyncio.timeout(AT_ONCE_S):
        with pytest.raises(NobodyThere):
            await connection.ask(subjects.delta(key, WRITER), b"", timeout_s=LATE_S)


async def test_refused_question_ends_its_own_alone(plant: Plant, key: WorkflowKey) -> None:
    connection = await plant.connect(GATEWAY)
    forbidden = connection.ask(subjects.delta(key, WRITER), b"", timeout_s=LATE_S)
    allowed = connection.ask(DIRECT_GET, b'{"multi_last": ["nothing"]}', timeout_s=LATE_S)
    async with asyncio.timeout(AT_ONCE_S):
        refused, answer = await asyncio.gather(forbidden, allowed, return_exceptions=True)
    assert isinstance(refused, NotAllowed) and isinstance(answer, Msg)


async def test_question_without_an_answer_ends_in_time(plant: Plant, key: WorkflowKey) -> None:
    listener, asker = await plant.connect(GATEWAY), await plant.connect(WRITER)

    async def keep_silent(_: Msg) -> None: ...

    await listener.subscribe(subjects.live(key), keep_silent)
    await listener.flush()
    with pytest.raises(NoAnswer, match=r"within 0\.1 s"):
        await asker.ask(subjects.delta(key, WRITER), b"", timeout_s=0.1)


async def test_what_was_sent_has_arrived_after_a_flush(plant: Plant, lines: list[EventDict], key: WorkflowKey) -> None:
    connection = await plant.connect(GATEWAY)
    for number in range(30):
        for part in range(20):  # all of them forbidden: the server's protests show that they arrived
            await connection.publish(subjects.delta(WorkflowKey(f"{number}-{part}", key.workflow_id), WRITER))
        await connection.flush()
        assert len(lines) == 20 * (number + 1)


async def test_subscription_lives_through_a_killed_server(own_plant: Plant, key: WorkflowKey) -> None:
    listener, speaker = await own_plant.connect(GATEWAY), await own_plant.connect(WRITER)
    heard: asyncio.Queue[Msg] = asyncio.Queue()
    await listener.subscribe(subjects.live(key), heard.put)
    await own_plant.kill(listener, speaker)
    await speaker.publish(subjects.delta(key, WRITER), b"tea")
    assert (await asyncio.wait_for(heard.get(), PATIENCE_S)).data == b"tea"


async def test_unsubscribed_listener_hears_no_more(plant: Plant, key: WorkflowKey) -> None:
    listener, speaker = await plant.connect(GATEWAY), await plant.connect(WRITER)
    heard: list[bytes] = []

    async def hear(message: Msg) -> None:
        heard.append(message.data)

    subscription = await listener.subscribe(subjects.live(key), hear)
    await listener.unsubscribe(subscription)
    await listener.flush()
    await speaker.publish(subjects.delta(key, WRITER), b"tea")
    await speaker.flush()
    await listener.flush()
    assert heard == []


async def test_what_waits_for_a_busy_listener_is_measured(plant: Plant, key: WorkflowKey) -> None:
    listener, speaker = await plant.connect(GATEWAY), await plant.connect(WRITER)
    is_busy, is_free = asyncio.Event(), asyncio.Event()

    async def hear(_: Msg) -> None:
        is_busy.set()
        await is_free.wait()

    subscription = await listener.subscribe(subjects.live(key), hear)
    await listener.flush()
    for _ in range(3):
        await speaker.publish(subjects.delta(key, WRITER), b"tea")
    await speaker.flush()
    await asyncio.wait_for(is_busy.wait(), PATIENCE_S)
    await listener.flush()
    assert listener.unheard() == (6, connection_rules.PENDING_BYTES_MAX)  # one of the three is being heard
    is_free.set()
    await listener.unsubscribe(subscription)
    assert listener.unheard().length == 0


async def read_until_answered(store: JetStreamStore, key: WorkflowKey) -> None:
    while True:
        with suppress(StoreUnavailable):
            await store.read(key)
            return


class TestWithSeveralServers:
    """Their addresses stand behind each other, with commas."""

    async def test_one_that_is_down_holds_nobody_up(self, plant: Plant) -> None:
        password, nobody = plant.running.passwords[WRITER], "nats://127.0.0.1:1"
        for url in (f"{nobody},{plant.running.nats_url}", f"{plant.running.nats_url}, {nobody}"):
            async with asyncio.timeout(AT_ONCE_S):
                connection = await Connection.open(url, user=WRITER, password=password, name="test")
            assert connection.is_up and connection.has_cluster
            await connection.close()

    async def test_wrong_password_is_refused_where_one_is_down(self, plant: Plant) -> None:
        url = f"nats://127.0.0.1:1,{plant.running.nats_url}"
        async with asyncio.timeout(AT_ONCE_S):
            with pytest.raises(NotAllowed, match="'writer' or its password"):
                await Connection.open(url, user=WRITER, password="canary", name="test")

    async def test_one_that_never_says_hello_is_hung_up_on_before_the_next_try(self) -> None:
        hung_up = asyncio.Event()

        async def take_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            hung_up.set()

        server = await asyncio.start_server(take_in, "127.0.0.1", 0)
        silent = Srv(urlparse(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        client: Any = connection_rules._Client()  # pyright: ignore[reportPrivateUsage]
        client.options = {"connect_timeout": PATIENCE_S}
        async with server, asyncio.timeout(PATIENCE_S):
            await client._connect_to_server(silent)
            first = client._transport._io_writer  # else it would be closed when nobody knows of it any more
            await client._connect_to_server(silent)
            await hung_up.wait()
            assert first.is_closing()
            client._transport.close()
            await asyncio.gather(first.wait_closed(), client._transport.wait_closed())

    async def test_frozen_server_is_left_for_another(
        self, cluster_plant: Plant, monkeypatch: pytest.MonkeyPatch, key: WorkflowKey
    ) -> None:
        monkeypatch.setattr(connection_rules, "UNSERVED_S", 0.1)
        connection = await cluster_plant.connect(WRITER)
        moved = asyncio.Event()
        connection.on_reconnect.append(moved.set)
        frozen = cluster_plant.pid_behind(connection)
        os.kill(frozen, signal.SIGSTOP)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(moved.wait(), read_until_answered(JetStreamStore(connection, WRITER), key))
            assert cluster_plant.pid_behind(connection) != frozen
        finally:
            os.kill(frozen, signal.SIGCONT)

    async def test_failures_that_are_far_apart_are_no_reason_to_leave_it(
        self, plant: Plant, monkeypatch: pytest.MonkeyPatch, lines: list[EventDict]
    ) -> None:
        monkeypatch.setattr(connection_rules, "UNSERVED_S", 0.0001)
        monkeypatch.setattr(connection_rules, "FORGOTTEN_S", 0.0)  # a while has passed whenever one follows
        url, password = f"{plant.running.nats_url},nats://127.0.0.1:1", plant.running.passwords[WRITER]
        connection = await Connection.open(url, user=WRITER, password=password, name="test")
        for _ in range(10):
            connection.unserved()
            await connection.flush()
        await connection.close()
        assert not [line for line in lines if line["event"] == "trying another server"]


class TestWhatNobodyCanRead:
    """nats-py's own reading ended at it, and the process was deaf for half a minute."""

    async def say(self, plant: Plant, command: bytes) -> None:
        """Sends this as the writer, byte for byte, and waits until the server has taken it."""
        place = urlsplit(plant.first_url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        await reader.readline()
        hello = {"user": WRITER, "pass": plant.running.passwords[WRITER], "verbose": False, "headers": True}
        writer.write(b"CONNECT " + json.dumps(hello).encode() + b"\r\n" + command + b"PING\r\n")
        assert await reader.readline() == b"PONG\r\n"
        writer.close()

    async def heard_next(self, plant: Plant, key: WorkflowKey, command: bytes) -> tuple[Msg, Msg]:
        """What a listener makes of this, and of the next message in order."""
        listener, speaker = await plant.connect(GATEWAY), await plant.connect(WRITER)
        heard: asyncio.Queue[Msg] = asyncio.Queue()
        await listener.subscribe(subjects.REPUBLISH_TO, heard.put)
        await listener.flush()
        await self.say(plant, command)
        await speaker.publish(subjects.delta(key, WRITER), b"tea")
        async with asyncio.timeout(AT_ONCE_S):
            return await heard.get(), await heard.get()

    async def test_subject_that_is_no_text_is_passed_on(self, own_plant: Plant, key: WorkflowKey) -> None:
        subject = subjects.delta(key, WRITER).encode().replace(key.workflow_id.encode(), b"\xff\xfe")
        odd, fine = await self.heard_next(own_plant, key, b"PUB " + subject + b" 1\r\nx\r\n")
        assert "\ufffd" in odd.subject and fine.data == b"tea"

    async def test_headers_that_are_none_are_left_out(self, own_plant: Plant, key: WorkflowKey) -> None:
        subject = subjects.delta(key, WRITER).encode()
        odd, fine = await self.heard_next(own_plant, key, b"HPUB " + subject + b" 12 13\r\nNATS/1.0 \xff\r\nx\r\n")
        assert not odd.headers and fine.data == b"tea"

    async def test_anything_else_costs_one_reconnect_at_once(
        self, own_plant: Plant, key: WorkflowKey, monkeypatch: pytest.MonkeyPatch, lines: list[EventDict]
    ) -> None:
        listener = await own_plant.connect(GATEWAY)
        is_back = asyncio.Event()
        listener.on_reconnect.append(is_back.set)
        monkeypatch.setattr(listener._client, "_process_msg", None)  # pyright: ignore[reportPrivateUsage]
        with suppress(NoAnswer):
            await listener.ask(DIRECT_GET, b"{}", timeout_s=LATE_S)
        monkeypatch.undo()
        async with asyncio.timeout(AT_ONCE_S):
            await is_back.wait()
        assert [line["event"] for line in lines].count("connection made anew") == 1


@pytest.mark.parametrize("headers", [None, {}, {"a": ""}, {"a": "b", "c": " "}])
async def test_headers_that_are_sent_are_never_a_bare_byte(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, key: WorkflowKey, headers: dict[str, str] | None
) -> None:
    """nats-server 2.15.1 was seen to die of a header block of one byte."""
    connection, sent = await plant.connect(WRITER), list[bytes]()
    send = connection._client._send_command  # pyright: ignore[reportPrivateUsage]

    async def note(command: bytes, priority: bool = False) -> None:
        sent.append(command)
        await send(command, priority)

    monkeypatch.setattr(connection._client, "_send_command", note)  # pyright: ignore[reportPrivateUsage]
    await connection.publish(subjects.delta(key, WRITER), b"", headers=headers)
    (command,) = sent
    verb, _, rest = command.partition(b" ")
    assert (verb == b"PUB") == (not headers)
    assert not headers or rest.partition(b"\r\n")[2].startswith(b"NATS/1.0\r\n")


async def test_closed_connection_says_so_and_sends_nothing(plant: Plant) -> None:
    connection = await plant.connect(GATEWAY)
    assert connection.is_up and not connection.closed.done()
    await connection.close()
    await connection.close()
    assert connection.closed.done() and not connection.is_up
    with pytest.raises(Disconnected):
        await connection.publish(subjects.every(BlogWritten))


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"NATS/1.0 \xff\xfe\r\n\r\n",
        b"NATS/1.0\r\nName: \xff\r\n\r\n",
        b"NATS/1.0 \xc3\xbc\xc3\xbc\r\n\r\n",
        b"NATS/1.0",
    ],
)
async def test_message_that_is_no_utf_8_is_heard_and_ends_nothing(
    plant: Plant, key: WorkflowKey, headers: bytes
) -> None:
    listener, heard = await plant.connect(GATEWAY), asyncio.Queue[Msg]()
    await listener.subscribe("live.workflow.>", heard.put)
    await listener.flush()
    for name in (b"\xff\xfe", key.workflow_id.encode()):
        await send_raw(
            plant.first_url,
            user=WRITER,
            password=plant.running.passwords[WRITER],
            subject=subjects.delta(WorkflowKey("local", "NAME"), WRITER).encode().replace(b"NAME", name),
            headers=headers,
        )
    async with asyncio.timeout(AT_ONCE_S):
        told = [(await heard.get()).subject for _ in range(2)]
    assert told == [f"live.workflow.local.{name}.delta.{WRITER}" for name in ("\ufffd\ufffd", key.workflow_id)]


class TestServerThatStandsStill:
    """It takes in what is sent, and never answers."""

    @pytest.fixture(autouse=True)
    def _short_silence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection_rules, "PING_S", 0.1)

    async def test_is_taken_for_gone_and_found_again(self, own_plant: Plant, lines: list[EventDict]) -> None:
        asker, back = await own_plant.connect(GATEWAY), asyncio.Event()
        asker.on_reconnect.append(back.set)
        own_plant.signal(signal.SIGSTOP)
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(NoAnswer, match="broke"):
                await asker.ask(DIRECT_GET, b"{}", timeout_s=LATE_S)
            with pytest.raises(Disconnected):
                await asker.ask(DIRECT_GET, b"{}", timeout_s=LATE_S)
            own_plant.signal(signal.SIGCONT)
            await back.wait()
            await asker.ask(DIRECT_GET, b'{"multi_last": ["nothing"]}', timeout_s=LATE_S)
        told = [(line["event"], line.get("why")) for line in lines]
        assert told == [("no connection to NATS", "it does not answer"), ("connected to NATS again", None)]


async def test_question_before_the_first_connection_ends_at_once() -> None:
    with pytest.raises(Disconnected):
        await Connection(GATEWAY).ask(DIRECT_GET, b"{}", timeout_s=LATE_S)
