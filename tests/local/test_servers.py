"""The real servers: each answers, survives a kill, keeps its data, and runs for root and for an ordinary user."""

import asyncio
import base64
import io
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest
import urllib3
from asyncpg import Record
from minio import Minio
from minio.error import S3Error

from chassis.connection import Connection
from chassis.jetstream_store import STREAM
from chassis.settings import load_settings
from chassis.setup import reconcile
from chassis.topology import SET_UP
from contracts.services import GATEWAY
from contracts.subjects import EventSubject, WorkflowKey
from local import postgres
from local.nats import ROOM_BYTES_MIN, Nats, settle_nodes
from local.postgres import Postgres
from local.s3 import S3, S3Access
from local.servers import Running, servers, temporary_folder
from local.spawn import Account
from local.state import CannotStart, DataDirectory, is_free
from local.supervisor import Supervisor
from tests.local.heard import Process, Words, ordinary_python, python, survivors

ROOT = Path(__file__).resolve().parents[2]
EVENT = str(EventSubject(WorkflowKey("local", "w1"), GATEWAY, "workflow-requested", 1))
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def folder() -> Generator[Path]:
    with temporary_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def place() -> Generator[Path]:
    """Servers that are only looked at."""
    with temporary_folder() as folder, servers(folder, nats=True, postgres=True, s3=True):
        yield folder


@pytest.fixture
def running(place: Path) -> Running:
    return Running(DataDirectory(place))


@pytest.fixture
async def words() -> AsyncGenerator[Words]:
    words = Words()
    yield words
    words.close()


class TestWhatIsKept:
    async def test_a_second_start_continues_where_the_first_stopped(self, folder: Path) -> None:
        async with servers(folder, nats=True, postgres=True, s3=True) as running:
            first = addresses(running)
            await write(running)
        async with servers(folder, nats=True, postgres=True, s3=True) as running:
            assert addresses(running) == first
            await check(running)

    async def test_a_kill_of_everything_loses_nothing(self, folder: Path) -> None:
        with python("-c", SERVERS, folder, path=[ROOT]) as process:
            process.until("running")
            await write(Running(DataDirectory(folder)))
            family = process.descendants()
            for victim in family:
                victim.kill()
            process.signal(signal.SIGKILL)
            assert survivors(family) == []
        async with servers(folder, nats=True, postgres=True, s3=True) as running:
            await check(running)

    async def test_killed_servers_come_back_with_their_data(self, folder: Path, words: Words) -> None:
        data = DataDirectory(folder)
        with data.held("a test"):
            async with Supervisor(folder, words) as supervisor:
                await supervisor.start(Nats(data), Postgres(data), S3(data))
                await write(Running(data))
                for name in ("nats", "postgres", "s3"):
                    os.kill(Running(data).pid(name), signal.SIGKILL)
                for name in ("nats", "postgres", "s3"):
                    await words.until(f"{name} answers again")
                await check(Running(data))


class TestACluster:
    async def test_three_servers_keep_one_log_and_listen_here_only(self, folder: Path) -> None:
        async with servers(folder, nats=True, nodes=3) as running:
            assert running.nats_names == ["nats-1", "nats-2", "nats-3"] and running.nats_url.count("nats://") == 3
            connection = await set_up_connection(running)
            listening = [
                one.laddr.ip
                for name in running.nats_names
                for one in psutil.Process(running.pid(name)).net_connections("inet")
                if one.status == psutil.CONN_LISTEN
            ]
            assert listening == ["127.0.0.1"] * 6  # each for its clients and for the others
            assert [(folder / name / "server.conf").stat().st_mode & 0o077 for name in running.nats_names] == [0] * 3
            await connection.close()
        async with servers(folder, nats=True) as again:  # as many as it was made with
            assert again.nats_url == running.nats_url

    async def test_a_stranger_may_not_join(self, folder: Path) -> None:
        async with servers(folder, nats=True, nodes=3):
            port = DataDirectory(folder).port("nats-1.routes")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b'CONNECT {"user":"routes","pass":"wrong","name":"stranger","cluster":"pressroom"}\r\nPING\r\n'
            )
            async with asyncio.timeout(10):
                assert b"Authorization" in await reader.read()  # up to its end, as the server hangs up
            writer.close()

    @pytest.mark.parametrize(("made_with", "wanted"), [(1, 3), (3, 1)])
    def test_another_number_of_servers_is_refused_and_nothing_is_lost(
        self, folder: Path, made_with: int, wanted: int
    ) -> None:
        data = DataDirectory(folder)
        with data.held("a test"):
            settle_nodes(data, made_with)
            with pytest.raises(CannotStart, match=rf"was made with .*Nothing was changed.*--nodes {made_with}"):
                settle_nodes(data, wanted)
            assert settle_nodes(data, None) == settle_nodes(data, made_with) == made_with

    def test_directory_that_is_older_than_the_choice_has_one_server(self, folder: Path) -> None:
        data = DataDirectory(folder)
        with data.held("a test"):
            data.settle_port("nats")
            with pytest.raises(CannotStart, match="one NATS server"):
                settle_nodes(data, 3)
            assert settle_nodes(data, None) == 1


class TestAFullDisk:
    """Tried on a real one by hand: nats-server goes on refusing, without an answer, until it is started anew."""

    def test_server_is_started_anew_once_there_is_room(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        data = DataDirectory(folder)
        with data.held("a test"):
            nats, free = Nats(data), 0

            def disk_usage(_: Path) -> SimpleNamespace:
                return SimpleNamespace(free=free)

            monkeypatch.setattr(shutil, "disk_usage", disk_usage)
            assert nats.ailment() is None
            nats.hear("[1] [ERR] JetStream failed to store a msg on stream: write 1.blk: no space left on device")
            assert nats.ailment() is None  # yet
            free = ROOM_BYTES_MIN
            assert "has room again" in (nats.ailment() or "")
            nats.launch(settled=True)
            assert nats.ailment() is None


async def set_up_connection(running: Running) -> Connection:
    return await Connection.open(running.nats_url, user=SET_UP, password=running.passwords[SET_UP], name="test")


class TestAccess:
    def test_nats_knows_its_users(self, running: Running) -> None:
        assert "Authorization Violation" in answer_to_login(running.nats_url, "writer", "wrong")
        assert "PONG" in answer_to_login(running.nats_url, "writer", running.passwords["writer"])

    async def test_postgres_knows_its_roles(self, running: Running) -> None:
        await postgres_answers(running)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(running.postgres_url("gateway").replace("gateway:", "gateway:x"))

    def test_s3_knows_its_keys_and_what_they_may(self, running: Running) -> None:
        wrong = S3Access(running.s3.endpoint, "pressroom", "wrong", "pressroom")
        with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
            pictures(wrong).stat_object(bucket_name="pressroom", object_name="a")
        with pytest.raises(S3Error, match="AccessDenied"):
            pictures(running.s3).make_bucket(bucket_name="another")

    def test_everything_listens_on_this_machine_only(self, place: Path, running: Running) -> None:
        listening = [
            connection.laddr
            for name in ("nats", "postgres", "s3")
            for connection in psutil.Process(running.pid(name)).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert {address.ip for address in listening} == {"127.0.0.1"}
        assert all(10_000 <= address.port < 32_768 for address in listening)
        kept = json.loads((place / "state.json").read_text())
        settled = {int(port) for name, port in kept.items() if name.startswith("port.")}
        assert {address.port for address in listening} <= settled | {port + 10_000 for port in settled}

    def test_what_is_secret_is_private(self, place: Path) -> None:
        private = [place / "state.json", place / "nats/server.conf", place / "s3/identities.json"]
        assert [path.stat().st_mode & 0o077 for path in private] == [0, 0, 0]

    def test_a_new_data_directory_is_closed_to_others(self, folder: Path) -> None:
        with DataDirectory(folder / "new").held("a test"):
            assert (folder / "new").stat().st_mode & 0o777 == (0o711 if IS_ROOT else 0o700)


class TestTheDatabase:
    """It belongs to the admin, so that no service can drop it; the set-up step says who may do what in it."""

    async def test_a_new_one_belongs_to_the_admin(self, running: Running) -> None:
        assert await owner(running) == "postgres"

    async def test_one_of_an_earlier_version_is_taken_back_from_the_projector(self, folder: Path) -> None:
        async with servers(folder, postgres=True) as running, database(running) as admin:
            await admin.execute("ALTER DATABASE pressroom OWNER TO projector; CREATE TABLE kept (value text)")
        async with servers(folder, postgres=True) as running:
            assert await owner(running) == "postgres"
            async with database(running) as admin:
                assert await admin.fetch("SELECT * FROM kept") == [], "what is in it stays"

    @pytest.mark.parametrize("role", ["projector", "gateway"])
    async def test_no_service_can_drop_it(self, running: Running, role: str) -> None:
        url = running.postgres_url(role).replace("/pressroom", "/postgres")
        connection = await asyncpg.connect(url)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DROP DATABASE pressroom")
        await connection.close()

    async def test_only_the_projector_makes_tables_after_a_set_up_that_may_be_repeated(self, folder: Path) -> None:
        async with servers(folder, postgres=True) as running:
            for _ in range(2):
                with tables_set_up(running.postgres_url()) as process:
                    assert process.wait() == 0, process.said
            async with database(running, "projector") as projector:
                await projector.execute("CREATE SCHEMA read_1; CREATE TABLE read_1.kept (value text)")
            async with database(running, "gateway") as gateway:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await gateway.execute("CREATE SCHEMA mine")
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await gateway.execute("CREATE TABLE mine (value text)")

    async def test_a_set_up_by_a_service_says_that_it_may_not(self, running: Running) -> None:
        with tables_set_up(running.postgres_url("gateway")) as process:
            assert process.wait() == 1
        (sentence,) = process.said
        assert sentence.startswith("Set-up of the read tables stopped: ")


class TestWhatIsInTheWay:
    async def test_a_port_that_was_taken_meanwhile_is_chosen_anew(self, folder: Path) -> None:
        data = DataDirectory(folder)
        with data.held("a test"):
            taken = {name: data.settle_port(name) for name in ("nats", "postgres", "s3.s3")}
        with occupied(taken.values()):
            async with servers(folder, nats=True, postgres=True, s3=True) as running:
                await write(running)
        assert all(data.port(name) != port for name, port in taken.items())

    def test_after_a_failed_start_seaweed_gets_other_ports(self, folder: Path) -> None:
        data = DataDirectory(folder)
        with data.held("a test"):
            s3 = S3(data)
            s3.launch(settled=False)
            first = s3.access.endpoint
            s3.launch(settled=False)
            assert s3.access.endpoint != first

    async def test_a_number_given_anew_does_not_stop_postgres(self, folder: Path) -> None:
        async with servers(folder, postgres=True):
            pass
        account = postgres.nobody() if IS_ROOT else None
        note = clusters(folder)[0] / "postmaster.pid"
        stranger = await asyncio.create_subprocess_exec("/bin/sleep", "600", user=account.user if account else None)
        note.write_text(f"{stranger.pid}\n{note.parent}\n")
        async with servers(folder, postgres=True) as running:
            await postgres_answers(running)
        stranger.kill()
        await stranger.wait()

    def test_a_dead_postgres_that_nobody_reaps_is_forgotten(self, folder: Path) -> None:
        with subprocess.Popen(["/bin/true"]) as zombie:
            os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)  # ended, and still there
            (folder / "postmaster.pid").write_text(f"{zombie.pid}\n")
            postgres.forget_stranger(folder)
        assert not (folder / "postmaster.pid").exists()

    async def test_half_a_cluster_is_made_again(self, folder: Path) -> None:
        (folder / "postgres" / "cluster.new").mkdir(parents=True)
        (folder / "postgres" / "cluster.new" / "PG_VERSION").write_text("18\n")
        async with servers(folder, postgres=True) as running:
            await postgres_answers(running)

    def test_a_held_directory_is_refused_with_its_holder(self, folder: Path) -> None:
        with DataDirectory(folder).held("http://127.0.0.1:8000"):
            second = DataDirectory(folder).held("another")
            with pytest.raises(CannotStart, match=rf"at http://127.0.0.1:8000, process {os.getpid()}"), second:
                pass
        assert DataDirectory(folder).holder() is None

    def test_a_directory_that_cannot_be_is_named(self, folder: Path) -> None:
        (folder / "file").touch()
        held = DataDirectory(folder / "file" / "data").held("a test")
        with pytest.raises(CannotStart, match=r"file/data cannot be used: Not a directory"), held:
            pass

    def test_a_port_is_remembered_while_it_is_free(self, folder: Path) -> None:
        data = DataDirectory(folder)
        first = data.settle_port("a")
        assert data.settle_port("a") == first
        assert DataDirectory(folder).port("a") == first
        with occupied([first]):
            assert not is_free(first)
            assert data.settle_port("a") != first

    def test_names_that_were_given_one_port_part(self, folder: Path) -> None:
        data = DataDirectory(folder)
        first = data.settle_port("a", offsets=(0, 10))
        for port in (first, first + 10):
            data.remember("port.b", lambda port=port: str(port), anew=True)
            assert data.settle_port("b") not in (first, first + 10)


class TestAsRoot:
    """Postgres refuses root. Where this is an ordinary user, there is nothing to see here."""

    async def test_postgres_of_a_private_folder_lives_in_the_open_place(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not IS_ROOT:
            return
        monkeypatch.setattr(postgres, "OPEN_PLACE", folder / "open")
        truly = postgres.succeeds

        def reaches_data(account: Account, *command: str | Path) -> bool:
            return command[0] == "test" or truly(account, *command)

        monkeypatch.setattr(postgres, "succeeds", never)  # nobody reaches neither programs nor data
        async with servers(folder / "closed", postgres=True) as running:
            await postgres_answers(running)
            command = psutil.Process(running.pid("postgres")).cmdline()
        assert command[0].startswith(str(folder / "open" / "programs-"))
        assert not (folder / "closed" / "postgres").exists()
        # From now on the data could be reached; the programs only where this checkout is not private.
        monkeypatch.setattr(postgres, "succeeds", reaches_data)
        async with servers(folder / "closed", postgres=True) as running:
            assert psutil.Process(running.pid("postgres")).cmdline()[1:3] == command[1:3], "chosen once, for good"

    def test_a_private_folder_is_found_out(self, folder: Path) -> None:
        if not IS_ROOT:
            return
        (folder / "private" / "data").mkdir(parents=True)
        assert postgres.succeeds(postgres.nobody(), "test", "-x", folder / "private" / "data")
        (folder / "private").chmod(0o700)
        assert not postgres.succeeds(postgres.nobody(), "test", "-x", folder / "private" / "data")


class TestAsAnOrdinaryUser:
    async def test_the_servers_run_and_keep_their_data(self, folder: Path) -> None:
        """As root this becomes `nobody`, where there is a Python that `nobody` can reach."""
        executable, account = ordinary_python(folder)
        if executable is None:
            return
        if account:
            os.chown(folder, account.user, account.group)
        for verb in (write, check):
            with python("-c", SERVERS, folder / "data", path=[ROOT], executable=executable, account=account) as process:
                process.until("running")
                await verb(Running(DataDirectory(folder / "data")))
        assert (folder / "data").stat().st_mode & 0o777 == 0o700
        owners = {path.stat().st_uid for path in (folder / "data").rglob("*")}
        assert owners == {(folder / "data").stat().st_uid}


async def write(running: Running) -> None:
    """One event, one row, one object."""
    async with user(running, SET_UP) as set_up, user(running, GATEWAY) as gateway:
        await reconcile(set_up, load_settings())
        await gateway.ask(EVENT, b"an event", timeout_s=5)
    connection = await asyncpg.connect(running.postgres_url())
    await connection.execute("CREATE TABLE kept (value text); INSERT INTO kept VALUES ('a row')")
    await connection.close()
    pictures(running.s3).put_object(bucket_name="pressroom", object_name="kept", data=io.BytesIO(b"object"), length=6)


async def check(running: Running) -> None:
    async with user(running, SET_UP) as set_up:
        answer = await set_up.ask(f"$JS.API.STREAM.MSG.GET.{STREAM}", b'{"seq": 1}', timeout_s=5)
    connection = await asyncpg.connect(running.postgres_url())
    row = await connection.fetchval("SELECT value FROM kept")
    await connection.close()
    kept = pictures(running.s3).get_object(bucket_name="pressroom", object_name="kept")
    event = base64.b64decode(json.loads(answer.data)["message"]["data"])
    assert (event, row, kept.read()) == (b"an event", "a row", b"object")
    kept.release_conn()


@asynccontextmanager
async def user(running: Running, name: str) -> AsyncGenerator[Connection]:
    connection = await Connection.open(running.nats_url, user=name, password=running.passwords[name], name="a test")
    yield connection
    await connection.close()


@asynccontextmanager
async def database(running: Running, role: str = postgres.ADMIN) -> "AsyncGenerator[asyncpg.Connection[Record]]":
    connection = await asyncpg.connect(running.postgres_url(role))
    yield connection
    await connection.close()


async def owner(running: Running) -> str:
    async with database(running) as admin:
        return await admin.fetchval(postgres.OWNER, postgres.DATABASE)


def tables_set_up(url: str) -> Process:
    return python("-m", "services.projector.setup", path=[ROOT], environment={"PRESSROOM_POSTGRES_URL": url})


async def postgres_answers(running: Running) -> None:
    connection = await asyncpg.connect(running.postgres_url("projector"))
    assert await connection.fetchval("SELECT current_user") == "projector"
    await connection.close()


def addresses(running: Running) -> list[object]:
    return [running.nats_url, running.passwords, running.postgres_url(), running.s3]


def answer_to_login(url: str, name: str, password: str) -> str:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port or 0)) as server, server.makefile("rw") as text:
        text.readline()
        text.write(f'CONNECT {{"user": "{name}", "pass": "{password}", "verbose": false}}\r\nPING\r\n')
        text.flush()
        return text.readline()


def pictures(access: S3Access) -> Minio:
    pool = urllib3.PoolManager(timeout=5, retries=False)
    return Minio(access.endpoint, access.access_key, access.secret_key, secure=False, http_client=pool)


def clusters(folder: Path) -> list[Path]:
    return list(folder.glob("**/cluster"))


def never(*_: object) -> bool:
    return False


@contextmanager
def occupied(ports: Iterable[int]) -> Generator[None]:
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


SERVERS = """
import asyncio, pathlib, signal, sys
from local.servers import servers

async def main():
    async with servers(pathlib.Path(sys.argv[1]), nats=True, postgres=True, s3=True):
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        print("running", flush=True)
        await stop.wait()

asyncio.run(main())
"""
