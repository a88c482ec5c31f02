"""The roles of the database: made where they are missing, with the passwords that they are given last."""

from collections.abc import Generator

import asyncpg
import pytest

from deploy.roles import ROLES, PasswordMissing, give_roles, passwords_of, variable
from local.servers import Running, servers


@pytest.fixture(scope="module")
def running() -> Generator[Running]:
    with servers(postgres=True) as running:
        yield running


async def logs_in(running: Running, role: str, password: str) -> bool:
    address = running.postgres_url().rpartition("@")[2]
    try:
        connection = await asyncpg.connect(f"postgresql://{role}@{address}", password=password)
    except asyncpg.InvalidPasswordError:
        return False
    await connection.close()
    return True


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_logs_in_with_the_password_of_the_last_set_up(running: Running, role: str) -> None:
    awkward = f"it's a \\ 'new' one for {role}"
    for password in ("first", awkward):
        await give_roles(running.postgres_url(), dict.fromkeys(ROLES, password))
        assert await logs_in(running, role, password)
    assert not await logs_in(running, role, "first")


def test_a_missing_password_is_named() -> None:
    with pytest.raises(PasswordMissing, match=variable(ROLES[1])):
        passwords_of({variable(ROLES[0]): "a"})
