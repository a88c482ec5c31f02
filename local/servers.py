"""Just the real servers, for tests: `with servers(folder, nats=True, s3=True) as running: …` (or `async with`)."""

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path

from local.console import Console
from local.nats import Nats, nats_servers, node_names, settle_nodes
from local.postgres import ADMIN, Postgres
from local.s3 import S3, S3Access
from local.spawn import noted_processes
from local.state import CannotStart, DataDirectory
from local.supervisor import REGISTER, Program, Supervisor

Programs = Callable[[DataDirectory], list[Program]]


class Running:
    """Where the servers are and how one gets in. Ask only about what was started."""

    def __init__(self, data: DataDirectory) -> None:
        self._data = data
        self._nats, self._postgres, self._s3 = Nats(data), Postgres(data), S3(data)

    @property
    def nats_url(self) -> str:
        return self._nats.url

    @property
    def nats_names(self) -> list[str]:
        """What the server is called, or each of several."""
        return node_names(self._data)

    @property
    def passwords(self) -> Mapping[str, str]:
        """Of the NATS users: set-up, gateway, research, writer, illustrator, projector."""
        return self._nats.passwords

    @property
    def log_blocks(self) -> list[Path]:
        """The files in which NATS keeps the log, for whoever damages it; without any before the first event."""
        return sorted((self._data.path / "nats" / "store").glob("**/streams/WORKFLOW/msgs/*.blk"))

    @property
    def s3(self) -> S3Access:
        return self._s3.access

    def postgres_url(self, role: str = ADMIN) -> str:
        """For `gateway`, `projector`, or the admin, who may do everything."""
        return self._postgres.url(role)

    def pid(self, name: str) -> int:
        """Of `nats` (`nats-1` and so on in a cluster), `postgres` or `s3`, to kill it or to pause it.

        It changes with each restart.
        """
        return noted_processes(self._data.path / REGISTER)[name][0]


class Servers:
    """Starts what is wanted, restarts what dies, stops all at the end. Its words go to logs/pressroom.log.

    The supervisor has an event loop in a thread of its own: so this also serves as the fixture of a session
    whose tests have loops of their own, or none.
    """

    def __init__(self, path: Path | None, programs: Programs, nodes: int | None) -> None:
        self._path = path
        self._programs = programs
        self._nodes = nodes
        self._running: Future[Running] = Future()
        self._thread = threading.Thread(target=self._run, name="servers", daemon=True)

    def __enter__(self) -> Running:
        self._thread.start()
        return self._running.result()

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop_asked.set)
        self._thread.join()

    async def __aenter__(self) -> Running:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.__exit__)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except (CannotStart, OSError) as error:
            self._running.set_exception(error)

    async def _serve(self) -> None:
        self._loop, self._stop_asked = asyncio.get_running_loop(), asyncio.Event()
        with ExitStack() as stack:
            data = DataDirectory(self._path or stack.enter_context(temporary_folder()))
            stack.enter_context(data.held("no address, as these are servers for a test"))
            settle_nodes(data, self._nodes)
            console = Console(stack.enter_context((data.logs / "pressroom.log").open("a")))
            stack.callback(console.close)
            async with Supervisor(data.path, console) as supervisor:
                await supervisor.start(*self._programs(data))
                self._running.set_result(Running(data))
                await self._stop_asked.wait()


def servers(
    path: Path | None = None, *, nats: bool = False, postgres: bool = False, s3: bool = False, nodes: int | None = None
) -> Servers:
    """The servers that are wanted, with their data in this folder, else in one that is removed at the end.

    `nodes`: of NATS; None: as many as the folder was made with, one for a new one.
    """

    def programs(data: DataDirectory) -> list[Program]:
        return [
            *(nats_servers(data) if nats else ()),
            *([Postgres(data)] if postgres else ()),
            *([S3(data)] if s3 else ()),
        ]

    return Servers(path, programs, nodes)


@contextmanager
def temporary_folder() -> Generator[Path]:
    """One that Postgres's user can pass through as well; pytest's own folders are closed to it."""
    with tempfile.TemporaryDirectory(prefix="pressroom-") as name:
        folder = Path(name)
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
        yield folder
