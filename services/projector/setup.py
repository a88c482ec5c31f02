"""The set-up step of the database: its rooms, and who may enter them. Run as a superuser who owns it, safe to repeat.

python -m services.projector.setup       before the projector and the gateway start
"""

import asyncio
import sys
from pathlib import Path

from asyncpg import PostgresError

from chassis.database import DatabaseUnavailable, DataRefused, named_failures, open_connection
from chassis.settings import Settings, load_settings

SQL = Path(__file__).with_suffix(".sql")

TURN = "SELECT pg_advisory_xact_lock(7305000)"
"""Two set-ups at once take turns: CREATE … IF NOT EXISTS alone is not safe then."""

COMMAND_S = 30.0


async def set_up(url: str) -> None:
    """Brings the database to its declared rooms and rights. Raises DatabaseUnavailable, or what Postgres refuses."""
    connection = await open_connection(url, name="set-up", command_timeout_s=COMMAND_S)
    try:
        with named_failures():
            async with connection.transaction():
                await connection.execute(TURN)
                await connection.execute(SQL.read_text())
    finally:
        await connection.close(timeout=2)


def main() -> None:
    """Exit code 0: the database is as declared."""
    settings: Settings = load_settings()
    try:
        asyncio.run(set_up(settings.postgres_url.get_secret_value()))
    except (DatabaseUnavailable, DataRefused, PostgresError) as wrong:
        print(f"Set-up of the read tables stopped: {wrong}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
