"""The health check of a container: it asks the service beside it, and believes nobody else."""

import asyncio
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from chassis import probe
from chassis.health import Health, served
from local.state import free_port
from tests.waiting import until


@contextmanager
def arguments(*words: str) -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["probe", *words])
        yield


async def asked(port: int, wrong: str | None) -> tuple[bool, str]:
    """What is heard of a service with this trouble."""
    async with served(Health(part=lambda: wrong), port):
        url = f"http://127.0.0.1:{port}{probe.READY}"
        return await until(lambda: asyncio.to_thread(probe.ask, url), "the service answers")


async def test_a_service_that_can_do_its_job_is_well() -> None:
    told = await asked(free_port(), None)
    assert told[0]


async def test_a_service_in_trouble_is_not_and_says_why() -> None:
    told = await asked(free_port(), "it rains")
    assert not told[0]
    assert "it rains" in told[1]


def test_nobody_there_is_not_well(capsys: pytest.CaptureFixture[str]) -> None:
    with arguments(f"http://127.0.0.1:{free_port()}/"), pytest.raises(SystemExit) as ended:
        probe.main()
    assert ended.value.code == 1
    assert "Nothing answers" in capsys.readouterr().out


def test_each_service_is_asked_where_it_tells_its_health() -> None:
    stage = {"PRESSROOM_HEALTH_PORT": "8001"}
    assert next(probe.places(stage)) == "http://127.0.0.1:8001/health/ready"
    gateway = {"PRESSROOM_HEALTH_PORT": "0", "PRESSROOM_PORT": "9000"}
    assert [*probe.places(gateway)] == ["http://127.0.0.1:9000/health/ready"]
    assert [*probe.places({})] == ["http://127.0.0.1:8000/health/ready"]
