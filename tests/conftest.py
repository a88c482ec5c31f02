"""What all tests share: a quiet log, an environment in which nobody ever pays, and the stand-in model."""

import logging
import os
import signal
import threading
from collections.abc import AsyncGenerator, Generator

import pytest
import structlog
from structlog.testing import capture_logs
from structlog.typing import EventDict
from xdist.remote import Producer

from local.standin.control import StandIn
from local.standin.server import make_server
from tests.listening import listener
from tests.nodes import VARIABLE
from tests.turns import Turns, place_of

for name in [name for name in os.environ if name.startswith(("OPENAI_", "TAVILY_", "PRESSROOM_"))]:
    if name != VARIABLE:
        del os.environ[name]

# The tests start hundreds of processes: what one has compiled, the others need not compile again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would every process that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first."""
    items.sort(key=lambda item: place_of(item.nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Turns | None:
    """What belongs together stays on one worker."""
    return Turns(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.fixture(scope="session")
def standin_url() -> Generator[str]:
    """The stand-in model, running for real and answering at once."""
    listening = listener()
    server = make_server(host="127.0.0.1", port=0, latency_s=0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=5)


@pytest.fixture
async def standin(standin_url: str) -> AsyncGenerator[StandIn]:
    """The stand-in's desk, with no calls on its list, no faults planned and no latency."""
    async with StandIn(standin_url) as desk:
        await desk.reset()
        await desk.clear()
        await desk.latency(0)
        yield desk


@pytest.fixture
def lines() -> Generator[list[EventDict]]:
    """What is logged meanwhile; other tests hear nothing of it."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as lines:
        yield lines
    structlog.configure(**before)
