"""NATS with JetStream: where the log lives."""

import asyncio
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from chassis.settings import Settings
from chassis.topology import SET_UP, USERS, server_config
from local.spawn import Launch
from local.state import LOCALHOST, DataDirectory, write_private
from local.supervisor import Program

GIB = 1024**3
LOG_BYTES_MAX = "PRESSROOM_LOG_BYTES_MAX"


class Nats(Program):
    name = "nats"
    noteworthy = re.compile(r"\[(WRN|ERR|FTL)\] (?!Plaintext passwords)")  # its file is private, and only for here

    def __init__(self, data: DataDirectory, settings: Mapping[str, str] | None = None) -> None:
        self._data = data
        self._settings = settings or {}
        self._folder = data.path / "nats"

    @property
    def url(self) -> str:
        return f"nats://{LOCALHOST}:{self._data.port('nats')}"

    @property
    def passwords(self) -> dict[str, str]:
        return {user: self._data.password(f"nats.{user}") for user in USERS}

    def launch(self, *, settled: bool) -> Launch:
        port = self._data.port("nats") if settled else self._data.settle_port("nats")
        self._folder.mkdir(mode=0o700, exist_ok=True)
        config = self._folder / "server.conf"
        store, bytes_max = self._folder / "store", self._store_bytes_max()
        write_private(config, server_config(self.passwords, port=port, store_dir=store, store_bytes_max=bytes_max))
        return Launch([Path(sys.executable).with_name("nats-server"), "-c", config], {})

    def _store_bytes_max(self) -> int:
        """Room for the log as it is set (set-up says what is wrong with it), and for small buckets beside it."""
        wanted = self._settings.get(LOG_BYTES_MAX, "")
        return GIB + (int(wanted) if wanted.isdigit() else Settings.model_fields["log_bytes_max"].default)

    async def answers(self) -> bool:
        """Says hello as set-up would: a stranger on this port doesn't know the password."""
        hello = {"user": SET_UP, "pass": self.passwords[SET_UP], "verbose": False, "pedantic": False}
        try:
            reader, writer = await asyncio.open_connection(LOCALHOST, self._data.port("nats"))
            try:
                await reader.readline()
                writer.write(f"CONNECT {json.dumps(hello)}\r\nPING\r\n".encode())
                return await reader.readline() == b"PONG\r\n"
            finally:
                writer.close()
        except OSError:
            return False
