"""The configuration of the NATS server in a container, made from the declared topology.

python -m deploy.nats_config       writes deploy/nats-server.conf anew; a test says when that is due
"""

from pathlib import Path

from chassis.topology import USERS, Variable, server_config

CONFIG = Path(__file__).with_name("nats-server.conf")

PORT, HEALTH_PORT = 4222, 8222
"""NATS's own customary ones."""

STORE_BYTES_MAX = 1024**4
"""More than any log here: PRESSROOM_LOG_BYTES_MAX is the limit, and only set-up may store anything beside it."""


def variable(user: str) -> str:
    """Where the user's password stands, in `.env` and in the server's environment."""
    return f"PRESSROOM_NATS_PASSWORD_{user.upper().replace('-', '_')}"


def container_config() -> str:
    """Passwords stay outside. Whether the server is well is told inside of the container only."""
    config = server_config(
        {user: Variable(variable(user)) for user in USERS},
        host="0.0.0.0",  # noqa: S104 - the networks of docker-compose.yml decide who gets there
        port=PORT,
        store_dir=Path("/data"),
        store_bytes_max=STORE_BYTES_MAX,
    )
    return f'{config}http: "127.0.0.1:{HEALTH_PORT}"\n'


if __name__ == "__main__":
    CONFIG.write_text(container_config())
