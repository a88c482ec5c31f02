"""One running system for the tests that do it no lasting harm; each xdist worker keeps its own."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from local.servers import temporary_folder
from tests.system.system import System


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def system() -> AsyncGenerator[System]:
    """The whole system, running."""
    with temporary_folder() as folder:
        async with System(folder / "data") as running:
            yield running


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def _no_rules_left(request: pytest.FixtureRequest) -> AsyncGenerator[None]:
    """The stand-in forgets its rules and calls before each test that uses the shared system."""
    if "system" in request.fixturenames:
        shared: System = request.getfixturevalue("system")
        await shared.standin.clear()
        await shared.standin.reset()
    yield
