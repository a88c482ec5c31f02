"""The nodes of NATS that hold the log: each is asked by itself, so that no damaged copy hides behind a good one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from chassis.connection import Connection as Nats
from chassis.event_store import StoreUnavailable
from chassis.jetstream_log import JetStreamLog
from chassis.settings import Settings
from contracts.services import PROJECTOR

CONNECT_S = 5.0
"""So long a node may take to let somebody in; after that it is taken for away."""


@dataclass(frozen=True)
class Nodes:
    """Where each node is, and how one gets in. A server answers direct gets from its own copy, where it has one."""

    urls: tuple[str, ...]
    user: str
    password: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The servers of `nats_url`, which are separated by commas."""
        urls = tuple(url.strip() for url in settings.nats_url.split(",") if url.strip())
        return cls(urls, settings.nats_user or PROJECTOR, settings.nats_password.get_secret_value())

    def name(self, url: str) -> str:
        """What a node is called among people; nothing where there is but one. Never a password."""
        where = urlsplit(url if "//" in url else f"//{url}")
        return f"{where.hostname}:{where.port or 4222}" if len(self.urls) > 1 else ""

    @asynccontextmanager
    async def log_at(self, url: str) -> AsyncGenerator[JetStreamLog]:
        """The log as this node holds it. Raises StoreUnavailable where the node is away, NotAllowed."""
        try:
            async with asyncio.timeout(CONNECT_S):
                nats = await Nats.open(url, user=self.user, password=self.password, name="guard")
        except TimeoutError as late:
            raise StoreUnavailable(f"NATS does not answer at {self.name(url) or url}.") from late
        moved = False

        def note() -> None:
            nonlocal moved
            moved = True

        nats.on_reconnect.append(note)
        try:
            yield JetStreamLog(nats)
            if moved:  # perhaps to another node: what was read is not certain to be this one's
                raise StoreUnavailable(f"the connection to {self.name(url) or url} broke under way")
        finally:
            await nats.close()
