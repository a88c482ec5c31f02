"""NATS with JetStream: where the log lives, on one server or on a cluster of three that each hold all of it."""

import asyncio
import json
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from chassis.settings import Settings
from chassis.topology import SET_UP, USERS, Node, server_config
from local.spawn import Launch
from local.state import LOCALHOST, CannotStart, DataDirectory, write_private
from local.supervisor import Program

GIB = 1024**3
LOG_BYTES_MAX = "PRESSROOM_LOG_BYTES_MAX"
NODES = "nats.nodes"

USUAL = (
    "Plaintext passwords",  # its file is private, and only for here
    "Error trying to connect to route (attempt 1)",  # servers of a cluster start side by side
    "Waiting for routing to be established",
    "JetStream has not established contact with a meta leader",
)
"""How warnings begin that say nothing at a start; when it lasts, other ones follow."""


DISK_FULL, ROOM_BYTES_MIN = "no space left on device", 32 * 1024**2
"""What a server says when it cannot store, and what the disk must have before it is worth another try."""


class Nats(Program):
    """One server. `number`: which one of a cluster, None where it is the only one. The address and the passwords are
    those of all of them."""

    noteworthy = re.compile(rf"\[(WRN|ERR|FTL)\] (?!{'|'.join(map(re.escape, USUAL))})")

    def __init__(
        self, data: DataDirectory, settings: Mapping[str, str] | None = None, *, number: int | None = None
    ) -> None:
        self.name = node_name(number)
        self._data = data
        self._settings = settings or {}
        self._number = number
        self._folder = data.path / self.name
        self._was_full = False

    @property
    def url(self) -> str:
        """Every server's address, as PRESSROOM_NATS_URL takes them."""
        return ",".join(f"nats://{LOCALHOST}:{self._data.port(name)}" for name in node_names(self._data))

    @property
    def passwords(self) -> dict[str, str]:
        return {user: self._data.password(f"nats.{user}") for user in USERS}

    def launch(self, *, settled: bool) -> Launch:
        self._was_full = False
        port = self._port(self.name, settled)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        config = self._folder / "server.conf"
        text = server_config(
            self.passwords,
            port=port,
            store_dir=self._folder / "store",
            store_bytes_max=self._store_bytes_max(),
            node=None if self._number is None else self.node(self._number, settled=settled),
        )
        write_private(config, text)
        return Launch([Path(sys.executable).with_name("nats-server"), "-c", config], {})

    def node(self, number: int, *, settled: bool) -> Node:
        """Which one of the cluster it is.

        A server whose port for the others had to change is found all the same: it is the one that asks them.
        """
        self._port(routes_of(self.name), settled)
        names = node_names(self._data)
        routes = {other: self._data.port(routes_of(name)) for other, name in enumerate(names, start=1)}
        return Node(number, routes, self._data.password("nats.routes"))

    def hear(self, line: str) -> None:
        self._was_full = self._was_full or DISK_FULL in line

    def ailment(self) -> str | None:
        """Once its disk was full a server stores nothing more, and leaves whoever asks without an answer."""
        if self._was_full and shutil.disk_usage(self._folder).free >= ROOM_BYTES_MIN:
            return "its disk was full, and has room again"
        return None

    def _port(self, name: str, settled: bool) -> int:
        return self._data.port(name) if settled else self._data.settle_port(name)

    def _store_bytes_max(self) -> int:
        """Room for the log as it is set (set-up says what is wrong with it), and for small buckets beside it."""
        wanted = self._settings.get(LOG_BYTES_MAX, "")
        return GIB + (int(wanted) if wanted.isdigit() else Settings.model_fields["log_bytes_max"].default)

    async def answers(self) -> bool:
        """Says hello as set-up would: a stranger on this port doesn't know the password."""
        hello = {"user": SET_UP, "pass": self.passwords[SET_UP], "verbose": False, "pedantic": False}
        try:
            reader, writer = await asyncio.open_connection(LOCALHOST, self._data.port(self.name))
            try:
                await reader.readline()
                writer.write(f"CONNECT {json.dumps(hello)}\r\nPING\r\n".encode())
                return await reader.readline() == b"PONG\r\n"
            finally:
                writer.close()
        except OSError:
            return False


def nats_servers(data: DataDirectory, settings: Mapping[str, str] | None = None) -> list[Nats]:
    """Every server of this data directory."""
    count = node_count(data)
    return [Nats(data, settings, number=None if count == 1 else number) for number in range(1, count + 1)]


def settle_nodes(data: DataDirectory, wanted: int | None) -> int:
    """How many servers keep the log of this data directory: as many as when it was made. None: however many those are.

    Raises CannotStart for another number: one server does not find what three have stored, and the other way round.
    """
    known = _known_nodes(data)
    if known and wanted and known != wanted:
        raise CannotStart(
            f"The data directory {data.path} was made with {in_words(known)}, and cannot be started with {wanted}. "
            f"Nothing was changed. Start it with --nodes {known}, or choose another directory with --data."
        )
    return int(data.remember(NODES, lambda: str(known or wanted or 1)))


def node_count(data: DataDirectory) -> int:
    """How many servers keep the log of this data directory."""
    return _known_nodes(data) or 1


def _known_nodes(data: DataDirectory) -> int | None:
    """None for a new directory; one whose only server has a port is older than the choice."""
    known = data.known(NODES)
    return int(known) if known else 1 if data.known(f"port.{node_name(None)}") else None


def node_names(data: DataDirectory) -> list[str]:
    """What the supervisor calls each server."""
    count = node_count(data)
    return [node_name(None if count == 1 else number) for number in range(1, count + 1)]


def node_name(number: int | None) -> str:
    return "nats" if number is None else f"nats-{number}"


def routes_of(name: str) -> str:
    """The name of the port on which a server meets the others."""
    return f"{name}.routes"


def in_words(count: int) -> str:
    return "one NATS server" if count == 1 else f"{count} NATS servers"
