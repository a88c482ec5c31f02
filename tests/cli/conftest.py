"""What the tests of the command share: a gateway that speaks the wire, and the command beside it."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.cli.gateway import Gateway


@pytest.fixture
def gateway() -> Generator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture
def command(gateway: Gateway, tmp_path: Path) -> Command:
    """The command, told where that gateway is."""
    return Command({"PRESSROOM_URL": gateway.address}, tmp_path)
