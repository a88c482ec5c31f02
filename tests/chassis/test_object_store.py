"""The object store on a real S3 server: what was put is there, or the caller hears of it."""

import asyncio
import base64
import hashlib
import io
import os
import signal
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
from minio import Minio
from structlog.typing import EventDict

from chassis import object_store
from chassis.object_store import Object, ObjectStoreRefused, ObjectStoreUnavailable, S3Store, picture_key
from contracts.subjects import WorkflowKey
from local.servers import Running, servers
from tests.chassis.plant import PATIENCE_S, settings
from tests.faulty_wire import Wire, wire
from tests.waiting import until

DATA = bytes(range(256)) * 400
PNG = "image/png"

OPENED: list[S3Store] = []


def open_store(running: Running, **changes: Any) -> S3Store:
    access = running.s3
    usual = {
        "s3_endpoint": access.endpoint,
        "s3_access_key": access.access_key,
        "s3_secret_key": access.secret_key,
        "s3_bucket": access.bucket,
    }
    store = S3Store(settings(**usual | changes))
    OPENED.append(store)
    return store


@pytest.fixture(autouse=True)
def all_closed() -> Generator[None]:
    """Every store that a test has opened is closed behind it."""
    yield
    while OPENED:
        OPENED.pop().close()


@pytest.fixture
def store(s3_server: Running) -> S3Store:
    return open_store(s3_server)


@pytest.fixture
def name(key: WorkflowKey) -> str:
    return picture_key(key, hashlib.sha256(DATA).hexdigest(), "png")


@pytest.fixture
async def own_s3() -> AsyncGenerator[Running]:
    """An S3 server for this test alone."""
    async with servers(s3=True) as running:
        yield running


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "PAUSES_S", (0.05,) * 600)


async def test_picture_comes_back_as_it_was_put(store: S3Store, name: str) -> None:
    await store.put(name, DATA, PNG)
    assert await store.get(name) == Object(DATA, PNG)


async def test_unknown_key_is_none(store: S3Store, name: str) -> None:
    assert await store.get(name) is None


async def test_putting_twice_is_harmless(store: S3Store, name: str) -> None:
    await asyncio.gather(store.put(name, DATA, PNG), store.put(name, DATA, PNG))
    await store.put(name, DATA, PNG)
    assert await store.get(name) == Object(DATA, PNG)


async def test_odd_names_and_small_sizes_are_kept(store: S3Store, name: str) -> None:
    odd = f"{name} ü+%2F&?.png"
    await store.put(odd, b"x", PNG)
    assert await store.get(odd) == Object(b"x", PNG)


async def test_good_store_passes_its_check(store: S3Store) -> None:
    await store.check()


class TestWhenTheStoreRefuses:
    """No waiting mends it: it is said at once, before a picture is paid for again."""

    async def test_wrong_secret_is_refused_and_unsaid(self, s3_server: Running, name: str) -> None:
        stranger = open_store(s3_server, s3_secret_key="canary")
        with pytest.raises(ObjectStoreRefused) as refused:
            await stranger.get(name)
        assert "SignatureDoesNotMatch" in str(refused.value) and "canary" not in str(refused.value)

    async def test_wrong_secret_is_found_by_the_check(self, s3_server: Running) -> None:
        with pytest.raises(ObjectStoreRefused):
            await open_store(s3_server, s3_secret_key="canary").check()

    async def test_missing_bucket_refuses_the_first_try(self, s3_server: Running, name: str) -> None:
        nowhere = open_store(s3_server, s3_bucket="elsewhere")
        with pytest.raises(ObjectStoreRefused):
            await nowhere.put(name, DATA, PNG)


class TestWhenTheStoreFails:
    async def test_killed_server_only_delays_a_put(self, own_s3: Running, name: str) -> None:
        store = open_store(own_s3)
        await store.put(f"{name}-before", DATA, PNG)
        killed = own_s3.pid("s3")
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            await store.put(name, DATA, PNG)
        assert await store.get(name) == await store.get(f"{name}-before") == Object(DATA, PNG)
        assert own_s3.pid("s3") != killed

    async def test_put_is_given_up_when_its_pauses_are_used_up(
        self, s3_server: Running, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried: list[str] = []

        def refuse(_: Minio, bucket: str, key: str, *__: Any) -> object:
            tried.append(key)
            raise ConnectionRefusedError

        monkeypatch.setattr(object_store, "PAUSES_S", (0.01, 0.01, 0.01))
        monkeypatch.setattr(Minio, "put_object", refuse)
        with pytest.raises(ObjectStoreUnavailable):
            await open_store(s3_server).put(name, DATA, PNG)
        assert tried == [name] * 4  # once, and once after each pause

    async def test_dead_server_is_found_by_the_check(self, s3_server: Running) -> None:
        with pytest.raises(ObjectStoreUnavailable):
            await open_store(s3_server, s3_endpoint="127.0.0.1:1").check()

    async def test_get_from_a_dead_server_is_unavailable(self, own_s3: Running, name: str) -> None:
        store = open_store(own_s3)
        os.kill(own_s3.pid("s3"), signal.SIGKILL)

        async def unavailable() -> bool:
            try:
                await store.get(name)
            except ObjectStoreUnavailable:
                return True
            return False

        await until(unavailable, "the server is gone", within_s=PATIENCE_S)

    async def test_bytes_changed_on_the_way_are_noticed(
        self, store: S3Store, name: str, monkeypatch: pytest.MonkeyPatch, lines: list[EventDict]
    ) -> None:
        honest, sent = Minio.put_object, list[str]()

        def damage_the_first(client: Minio, bucket: str, key: str, data: io.BytesIO, *further: Any) -> object:
            sent.append(key)
            carried = io.BytesIO(data.read()[::-1]) if len(sent) == 1 else data
            return honest(client, bucket, key, carried, *further)

        monkeypatch.setattr(Minio, "put_object", damage_the_first)
        await store.put(name, DATA, PNG)
        assert sent == [name, name] and "does not hold what was uploaded" in lines[0]["why"]
        assert await store.get(name) == Object(DATA, PNG)

    async def test_other_bytes_than_the_name_says_are_not_given_out(
        self, s3_server: Running, store: S3Store, name: str, lines: list[EventDict]
    ) -> None:
        await store.put(name, DATA[::-1], PNG)
        with pytest.raises(ObjectStoreUnavailable):
            await store.get(name)
        assert "other bytes" in lines[0]["why"]

    async def test_checksum_travels_with_the_bytes(
        self, store: S3Store, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[dict[str, str]] = []
        pool = store._client._http  # pyright: ignore[reportPrivateUsage]
        honest = pool.urlopen

        def watch(method: str, url: str, **options: Any) -> Any:
            if method == "PUT":
                sent.append(dict(options["headers"]))
            return honest(method, url, **options)

        monkeypatch.setattr(pool, "urlopen", watch)
        await store.put(name, DATA, PNG)
        digests = {base64.b64encode(hashlib.md5(DATA).digest()).decode(), hashlib.sha256(DATA).hexdigest()}  # noqa: S324
        assert digests & set(sent[0].values())


class TestBadWire:
    @pytest.fixture
    async def it(self, s3_server: Running) -> AsyncGenerator[Wire]:
        async with wire(s3_server.s3.endpoint) as it:
            yield it

    @pytest.mark.parametrize("behind", [False, True], ids=["before it arrives", "before its answer is heard"])
    async def test_upload_that_is_cut_off_is_made_again(
        self, s3_server: Running, name: str, it: Wire, behind: bool
    ) -> None:
        store = open_store(s3_server, s3_endpoint=it.place)
        it.cut_at(b"PUT /", behind=behind)
        await store.put(name, DATA, PNG)
        await it.was_cut()
        assert await store.get(name) == Object(DATA, PNG)

    async def test_slow_store_is_waited_for(self, s3_server: Running, name: str, it: Wire) -> None:
        it.delay(0.3)
        store = open_store(s3_server, s3_endpoint=it.place)
        await store.put(name, DATA, PNG)
        assert await store.get(name) == Object(DATA, PNG)

    async def test_store_that_comes_back_has_one_line_for_its_outage_and_one_for_its_end(
        self, s3_server: Running, name: str, it: Wire, lines: list[EventDict]
    ) -> None:
        store = open_store(s3_server, s3_endpoint=it.place)
        it.break_off()
        putting = asyncio.create_task(store.put(name, DATA, PNG))
        await it.was_tried(3)
        assert "does not answer" in (store.trouble() or "")
        await it.mend()
        await putting
        assert store.trouble() is None
        assert [line["event"] for line in lines] == ["no use of the object store", "the object store answers again"]

    async def test_reader_does_not_wait_for_a_store_that_stands_still(
        self, s3_server: Running, name: str, it: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(object_store, "GET_S", 0.2)
        store = open_store(s3_server, s3_endpoint=it.place)
        it.stand_still()
        readers = [store.get(name) for _ in range(3 * object_store.CONNECTIONS_MAX)]
        async with asyncio.timeout(PATIENCE_S):
            answers = await asyncio.gather(*readers, return_exceptions=True)
        assert {type(answer) for answer in answers} == {ObjectStoreUnavailable}
