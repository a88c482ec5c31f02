"""The library: what the gateway reads from the read tables in Postgres.

Each read is one single statement, so that all its parts are of one moment (services/gateway/statements.py says why).
Nothing here is needed to start the gateway, to take requests in or to show them live: Postgres may come and go.
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog
from asyncpg import exceptions

from chassis.database import DatabaseNotSetUp, DatabaseUnavailable, named_failures, speak_json
from chassis.health import Queue, Trouble
from chassis.telemetry import Seldom
from services.gateway import statements
from services.gateway.desk import OWNER

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from chassis.database import Pool

    PoolConnection = PoolConnectionProxy[asyncpg.Record]

CONNECTIONS_MAX = 10
CONNECT_S = 3.0
STATEMENT_S = 5.0
READ_S = 6.0
"""A read that has not ended by then is given up, whatever it waits for: a connection, a lock, a frozen server."""

REACH_S = 5.0
PAUSE_MIN_S, PAUSE_MAX_S = 0.01, 0.1
"""How long a read waits for the tables to reach a position, and how it looks: ever less often."""

GOODBYE_S = 2.0

WORDS_MAX = 16
"""Of a text search; more narrow nothing down."""

ASKED_OF_INDEX_MAX = 3
"""Of these words, the longest: they are the rarest, as a rule."""

LOST = (
    ConnectionResetError,
    BrokenPipeError,
    exceptions.PostgresConnectionError,
    exceptions.InterfaceError,
    exceptions.AdminShutdownError,
    exceptions.CrashShutdownError,
    exceptions.InternalClientError,  # the server's last words came between two messages, where asyncpg expects none
    exceptions.TransactionRollbackError,  # a deadlock with a rebuild, which the other side won
)
"""What a statement ends with that may succeed on another connection at once."""

CANNOT_BE_READ = "the read tables cannot be read: Postgres does not answer as it should"

Row = dict[str, Any]

log = structlog.get_logger("library")


class ReadTablesBehind(Exception):
    """The read tables have not reached the position that was asked for in time."""

    def __init__(self, position: int, wanted: int) -> None:
        super().__init__(f"The read tables contain the log up to position {position}, not yet up to {wanted}.")


@dataclass(frozen=True)
class Read:
    """What was found, null or empty where nothing was, and up to which position the tables contain the log.

    `held`: since when and why the tables hold the workflow's later events back; only for a workflow.
    """

    found: Any
    position: int
    held: Row | None = None


class Library:
    """The read tables, for one gateway. Every read raises DatabaseUnavailable or ReadTablesBehind, within seconds."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._seldom = Seldom()
        self.trouble = Trouble()

    @classmethod
    async def open(cls, url: str) -> "Library":
        """A library that connects when it is first asked, and again whenever its connections were lost."""
        return cls(
            await asyncpg.create_pool(
                url,
                min_size=0,
                init_size=0,
                max_size=CONNECTIONS_MAX,
                timeout=CONNECT_S,
                statement_cache_size=0,  # a statement that was kept would first lock what a rebuild has dropped since
                init=speak_json,
                reset=_keep,
                server_settings={
                    "application_name": "gateway",
                    "timezone": "UTC",
                    "statement_timeout": f"{STATEMENT_S:g}s",
                    "plan_cache_mode": "force_custom_plan",
                    # Every read has an index. Where statistics are wrong, or not there yet, the planner must not think
                    # that reading a whole table is cheaper.
                    "enable_seqscan": "off",
                },
            )
        )

    def reads(self) -> Queue:
        """How many of the connections are in use now."""
        return Queue(self._pool.get_size() - self._pool.get_idle_size(), CONNECTIONS_MAX)

    async def close(self) -> None:
        """Gives the connections back, by force where the server does not answer."""
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._pool.close()
        except (TimeoutError, OSError, exceptions.InterfaceError, exceptions.PostgresError):
            self._pool.terminate()

    # ------------------------------------------------------------ what there is to read

    async def workflows(
        self, *, before: int, limit: int, status: str | None, words: str | None, min_position: int
    ) -> Read:
        """Summaries of workflows, the newest request first; `words`: each of them begins a word of topic or title."""
        if words is None:
            return await self._read(statements.WORKFLOWS, min_position, before, limit, status)
        wanted, narrow = search_query(words), search_query(words, longest=ASKED_OF_INDEX_MAX)
        return await self._read(statements.WORKFLOWS_WITH_WORDS, min_position, before, limit, status, wanted, narrow)

    async def workflow(self, workflow_id: str, *, min_position: int) -> Read:
        """One workflow with all that was made in it."""
        return await self._read(statements.WORKFLOW, min_position, workflow_id)

    async def sources(self, workflow_id: str, *, min_position: int) -> Read:
        """What research found for one workflow."""
        return await self._read(statements.SOURCES, min_position, workflow_id)

    async def blog_posts(self, *, before: int, limit: int, workflow_id: str | None, min_position: int) -> Read:
        """Blog posts with their beginnings, the newest first."""
        return await self._read(statements.BLOG_POSTS, min_position, before, limit, workflow_id)

    async def blog_post(self, id: str, *, min_position: int) -> Read:
        """One blog post with the sources that it cites."""
        return await self._read(statements.BLOG_POST, min_position, id)

    async def social_media_posts(
        self, *, before: int, limit: int, workflow_id: str | None, platform: str | None, min_position: int
    ) -> Read:
        """Posts for platforms, the newest first."""
        return await self._read(statements.SOCIAL_MEDIA_POSTS, min_position, before, limit, workflow_id, platform)

    async def social_media_post(self, id: str, *, min_position: int) -> Read:
        """One post for a platform."""
        return await self._read(statements.SOCIAL_MEDIA_POST, min_position, id)

    async def images(self, *, before: int, limit: int, workflow_id: str | None, min_position: int) -> Read:
        """Descriptions of images, the newest first."""
        return await self._read(statements.IMAGES, min_position, before, limit, workflow_id)

    async def image(self, id: str, *, min_position: int) -> Read:
        """The description of one image."""
        return await self._read(statements.IMAGE, min_position, id)

    async def quarantine(self, *, before: int, limit: int, min_position: int) -> Read:
        """Workflows that are held, the latest first."""
        return await self._read(statements.QUARANTINE, min_position, before, limit)

    async def parked(self, *, before: int, limit: int, kind: str | None, min_position: int) -> Read:
        """What cannot go on until somebody acts: failed workflows that a resume may mend, and those that are held."""
        return await self._read(statements.PARKED, min_position, before, limit, kind)

    async def projection(self) -> Row:
        """How far the tables themselves have come, and how many workflows they hold. Raises DatabaseUnavailable."""
        return (await self._row(statements.PROJECTION))["found"]

    # ------------------------------------------------------------ how it is read

    async def _read(self, statement: str, min_position: int, *arguments: object) -> Read:
        """What the statement finds once the tables contain `min_position`.

        The position comes with what was found: one that was asked for before could be that of tables which have been
        replaced meanwhile.
        """
        until = asyncio.get_running_loop().time() + REACH_S
        while True:
            row = await self._row(statement, OWNER, *arguments)
            if row["position"] >= min_position:
                return Read(row["found"], row["position"], row.get("held"))
            await self._reach(row["position"], min_position, until)

    async def _reach(self, position: int, wanted: int, until: float) -> None:
        """Waits for the tables, with no connection in its hands between two looks. Raises ReadTablesBehind."""
        pause, clock = PAUSE_MIN_S, asyncio.get_running_loop().time
        while position < wanted:
            if clock() + pause > until:
                raise ReadTablesBehind(position, wanted)
            await asyncio.sleep(pause)
            position = (await self._row(statements.REACHED))["position"]
            pause = min(pause * 1.5, PAUSE_MAX_S)

    async def _row(self, statement: str, *arguments: object) -> Any:
        """The statement's only row, which always tells the position. Raises DatabaseUnavailable."""
        try:
            with named_failures():
                async with asyncio.timeout(READ_S):
                    row = await self._fetch(statement, arguments)
        except DatabaseUnavailable as wrong:
            self.trouble.meets(CANNOT_BE_READ)  # the error's own words may tell where Postgres is
            if self._seldom.allows(CANNOT_BE_READ, asyncio.get_running_loop().time()):
                log.warning("the read tables cannot be read", why=str(wrong))
            raise
        self.trouble.ends()
        if self._seldom.ends(CANNOT_BE_READ):
            log.info("the read tables are read again")
        return row

    async def _fetch(self, statement: str, arguments: tuple[object, ...]) -> Any:
        """Asks again where a connection turns out to be lost: a server that was killed leaves a pool full of them.

        Each round ends one of them. A server that takes no connections in ends it at once.
        """
        for _ in range(CONNECTIONS_MAX):
            with suppress(*LOST):
                async with self._connection() as connection:
                    return _checked(await connection.fetchrow(statement, *arguments))
        raise DatabaseUnavailable("one connection after the other was lost")

    @asynccontextmanager
    async def _connection(self) -> "AsyncGenerator[PoolConnection]":
        """A connection of the pool, which makes another one in its place when a read fails or is given up."""
        try:
            connection = await self._pool.acquire()
        except ValueError as wrong:
            raise DatabaseUnavailable(f"the address of Postgres is wrong: {wrong}") from wrong
        try:
            yield connection
        except BaseException:
            connection.terminate()  # nobody waits for what may still be under way on it
            raise
        finally:
            await self._pool.release(connection)


def _checked(row: Any) -> Any:
    """The row, once there are tables that it can be of."""
    if row["position"] is None:
        raise DatabaseNotSetUp("the read tables are not there yet")
    return row


async def _keep(_: object) -> None:
    """What is done to a connection between two reads: nothing, as a read leaves nothing behind."""


# ---------------------------------------------------------------- words

_WORD = re.compile(r"[^\W_]+")
"""Letters and digits, as the column `search` takes them for one word."""


def search_query(text: str, *, longest: int = WORDS_MAX) -> str:
    """What the text's words have to match, as a tsquery: each of them, as the beginning of a word. -> "" without a word

    `longest`: only so many of them, the longest.
    """
    words = sorted(_WORD.findall(text.lower())[:WORDS_MAX], key=len, reverse=True)
    return " & ".join(f"'{word}':*" for word in words[:longest])
