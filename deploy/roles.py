"""The roles of the database, before its tables are set up: who may log in, and with which password.

python -m deploy.roles       as a superuser; safe to repeat, and what changes a password of `.env` in Postgres too
"""

import asyncio
import os
import sys
from collections.abc import Mapping

from asyncpg import PostgresError

from chassis.database import DatabaseUnavailable, DataRefused, named_failures, open_connection
from chassis.settings import Settings, load_settings
from contracts.services import GATEWAY, PROJECTOR

ROLES = (PROJECTOR, GATEWAY)

TURN = "SELECT pg_advisory_xact_lock(7305001)"
"""Two set-ups at once take turns: CREATE ROLE knows no IF NOT EXISTS."""

SAY_NOTHING = "SET LOCAL log_min_error_statement = panic"
"""A statement that fails is written to the server's log, and these hold passwords."""

COMMAND_S = 30.0


class PasswordMissing(Exception):
    """A role's password is not set."""


async def give_roles(url: str, passwords: Mapping[str, str]) -> None:
    """Makes missing roles, and sets each one's password. Raises DatabaseUnavailable, or what Postgres refuses."""
    connection = await open_connection(url, name="roles", command_timeout_s=COMMAND_S)
    try:
        with named_failures():
            async with connection.transaction():
                await connection.execute(SAY_NOTHING)
                await connection.execute(TURN)
                for role, password in passwords.items():
                    known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
                    quoted = await connection.fetchval("SELECT quote_literal($1)", password)
                    verb = "ALTER" if known else "CREATE"
                    await connection.execute(f"{verb} ROLE {role} LOGIN PASSWORD {quoted}")
    finally:
        await connection.close(timeout=2)


def variable(role: str) -> str:
    """Where the role's password stands, here and in `.env`."""
    return f"PRESSROOM_POSTGRES_PASSWORD_{role.upper()}"


def passwords_of(environment: Mapping[str, str]) -> dict[str, str]:
    """By role. Raises PasswordMissing."""
    for role in ROLES:
        if not environment.get(variable(role)):
            raise PasswordMissing(f"{variable(role)} is not set.")
    return {role: environment[variable(role)] for role in ROLES}


def main() -> None:
    """Exit code 0: each role can log in with its password."""
    settings: Settings = load_settings()
    try:
        asyncio.run(give_roles(settings.postgres_url.get_secret_value(), passwords_of(os.environ)))
    except (PasswordMissing, DatabaseUnavailable, DataRefused, PostgresError) as wrong:
        print(f"Set-up of the roles stopped: {wrong}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
