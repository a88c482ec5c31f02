"""The newer release of a chaos run: it writes what today's code leaves to it, and only the services are other ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from chaos.newer import make, python_path
from contracts.envelope import FromTheFuture, decode
from contracts.subjects import EventSubject
from tests.contracts.given import KEY

SUBJECT = str(EventSubject(KEY, "gateway", "workflow-requested", 1))
WRITES = """
from contracts.events import WorkflowRequested
print(WorkflowRequested(topic="Tea", research=False, platforms=("linkedin",)).model_dump_json())
"""
FINDS = "import chaos, contracts, services; print(*(one.__path__[0] for one in (contracts, services, chaos)))"


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "newer"
    make(folder)
    return folder


def said(newer: Path, program: str) -> str:
    environment = {"PYTHONPATH": python_path(newer), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_its_requests_are_of_a_version_that_todays_code_cannot_read(newer: Path) -> None:
    headers = {"ce-id": "i", "ce-time": "2027-03-01T12:00:00+00:00"}
    with pytest.raises(FromTheFuture):
        decode(SUBJECT, headers, said(newer, WRITES).encode(), position=1)


def test_its_services_are_the_newer_ones_and_chaos_is_todays(newer: Path) -> None:
    *services, chaos = said(newer, FINDS).split()
    assert [Path(one).parent for one in services] == [newer, newer]
    assert Path(chaos).parent != newer
