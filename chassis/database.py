"""Postgres, as the services reach it: connections that speak JSON, and one name for its being away."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg
from asyncpg import exceptions

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

CONNECT_S = 5.0

AWAY = (
    OSError,
    TimeoutError,
    exceptions.PostgresConnectionError,
    exceptions.OperatorInterventionError,  # it shuts down, starts up, or took too long
    exceptions.InsufficientResourcesError,  # a full disk, too many connections
    exceptions.PostgresSystemError,
    exceptions.TransactionRollbackError,  # a deadlock was broken
    exceptions.LockNotAvailableError,
    exceptions.InvalidAuthorizationSpecificationError,
    exceptions.InterfaceError,  # the connection was closed under way
    exceptions.InternalClientError,  # the same, between two messages
    exceptions.PostgresError,  # whatever else it may say
)
"""What Postgres, or the way to it, answers when it cannot serve at the moment: trying again may help."""

REFUSED = (
    exceptions.DataError,
    exceptions.IntegrityConstraintViolationError,
    exceptions.ProgramLimitExceededError,
    exceptions.UntranslatableCharacterError,
    ValueError,  # a number or a text that the driver itself cannot encode
)
"""What Postgres, or its driver, answers to data that can never be stored: trying again cannot help."""


NOT_SET_UP = (
    exceptions.UndefinedTableError,
    exceptions.UndefinedColumnError,
    exceptions.InvalidSchemaNameError,
    exceptions.InvalidCatalogNameError,
    exceptions.InsufficientPrivilegeError,
)
"""What Postgres answers where the set-up step has not run, or where another version of Pressroom made the tables."""


class DatabaseUnavailable(Exception):
    """Postgres does not answer at the moment, or not in time. Nothing is lost; try again later."""


class DatabaseNotSetUp(DatabaseUnavailable):
    """Postgres answers, but the tables are not there, or not as this version of Pressroom expects them."""


class DataRefused(Exception):
    """Postgres can never store this."""


@contextmanager
def named_failures() -> Generator[None]:
    """Raises DatabaseUnavailable, DatabaseNotSetUp or DataRefused for the many ways in which a driver says so."""
    try:
        yield
    except REFUSED as refused:
        raise DataRefused(_words(refused)) from refused
    except NOT_SET_UP as missing:
        raise DatabaseNotSetUp(f"the database is not set up for this: {_words(missing)}") from missing
    except AWAY as away:
        raise DatabaseUnavailable(f"Postgres: {_words(away)}") from away


async def open_connection(
    url: str, *, name: str, command_timeout_s: float, silence_s: float = 0, transaction_s: float = 0
) -> "Connection":
    """One connection, on which every name has to say its schema. Raises DatabaseUnavailable, DatabaseNotSetUp.

    `command_timeout_s`: of one statement. Postgres itself ends a transaction, with all that it locks, after `silence_s`
    without a word in the middle of it, and after `transaction_s` in all; 0: never.
    """
    settings = {
        "application_name": name,
        "search_path": "pg_catalog",  # nobody's function or table can be taken for Postgres' own
        "idle_in_transaction_session_timeout": f"{silence_s:g}s",
        "transaction_timeout": f"{transaction_s:g}s",
    }
    with named_failures():
        try:
            connection = await asyncpg.connect(
                url, timeout=CONNECT_S, command_timeout=command_timeout_s, server_settings=settings
            )
        except ValueError as wrong:  # its words may quote the password
            raise DatabaseUnavailable("the address of Postgres cannot be read") from wrong
        await speak_json(connection)
        return connection


async def speak_json(connection: "Connection") -> None:
    """Has columns of jsonb read and written as Python's own lists and objects."""
    await connection.set_type_codec("jsonb", encoder=_to_json, decoder=json.loads, schema="pg_catalog")


def _to_json(value: object) -> str:
    return json.dumps(value, allow_nan=False)


def _words(wrong: BaseException) -> str:
    """What went wrong, without the details that Postgres adds, which quote rows and differ each time."""
    if isinstance(wrong, exceptions.InterfaceError) and wrong.__context__ is not None:
        wrong = wrong.__context__  # the end of a transaction only tells that its connection is gone
    if isinstance(wrong, TimeoutError):
        return "it does not answer in time"
    return getattr(wrong, "message", None) or str(wrong) or type(wrong).__name__
