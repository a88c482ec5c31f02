"""Postgres as the services reach it: its many ways to fail have three names, and none tells the password."""

import pytest
from asyncpg import exceptions

from chassis.database import DatabaseNotSetUp, DatabaseUnavailable, DataRefused, named_failures, open_connection


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (OSError("refused"), DatabaseUnavailable),
        (TimeoutError(), DatabaseUnavailable),
        (exceptions.CannotConnectNowError("starting up"), DatabaseUnavailable),
        (exceptions.DeadlockDetectedError("deadlock"), DatabaseUnavailable),
        (exceptions.DiskFullError("full"), DatabaseUnavailable),
        (exceptions.ReadOnlySQLTransactionError("a standby"), DatabaseUnavailable),
        (exceptions.InternalClientError("unexpected"), DatabaseUnavailable),
        (exceptions.InvalidPasswordError("wrong"), DatabaseUnavailable),
        (exceptions.UndefinedTableError("no such table"), DatabaseNotSetUp),
        (exceptions.InsufficientPrivilegeError("denied"), DatabaseNotSetUp),
        (exceptions.CheckViolationError("violated"), DataRefused),
        (exceptions.NumericValueOutOfRangeError("too large"), DataRefused),
        (ValueError("value out of int64 range"), DataRefused),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.__name__,
)
def test_failure_has_one_of_three_names(wrong: Exception, name: type[Exception]) -> None:
    with pytest.raises(name) as told, named_failures():
        raise wrong
    assert type(told.value) is name


def test_failure_without_words_is_told_by_its_kind() -> None:
    with pytest.raises(DatabaseUnavailable, match="BrokenPipeError"), named_failures():
        raise BrokenPipeError


def test_silence_is_told_in_words() -> None:
    with pytest.raises(DatabaseUnavailable, match="it does not answer in time"), named_failures():
        raise TimeoutError


def test_end_of_a_transaction_tells_what_ended_it() -> None:
    with pytest.raises(DatabaseUnavailable, match="the server went away"), named_failures():
        try:
            raise ConnectionResetError("the server went away")  # noqa: TRY301
        except ConnectionResetError:
            raise exceptions.InterfaceError("cannot call Transaction.__aexit__()")  # noqa: B904 - as asyncpg does


@pytest.mark.parametrize("password", ["se/canary", "se?canary", "canary"])
async def test_address_that_leads_nowhere_tells_no_password(password: str) -> None:
    with pytest.raises(DatabaseUnavailable) as told:
        await open_connection(f"postgresql://projector:{password}@127.0.0.1:1/x", name="test", command_timeout_s=1)
    assert "canary" not in str(told.value)
