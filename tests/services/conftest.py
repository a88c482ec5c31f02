"""What the services' tests share: the stand-in model, running for real, and clients that are closed at the end."""

import socket
import threading
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
from openai import AsyncOpenAI

import chassis.model
from chassis.settings import Settings
from local.standin.control import StandIn
from local.standin.server import make_server


@pytest.fixture(scope="session")
def standin_url() -> Generator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = make_server(host="127.0.0.1", port=0, latency_s=0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=5)


@pytest.fixture
async def standin(standin_url: str) -> AsyncGenerator[StandIn]:
    async with StandIn(standin_url) as control:
        await control.reset()
        await control.clear()
        yield control


@pytest.fixture
async def settings(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Settings]:
    """Settings that lead to the stand-in. The clients that are made meanwhile are closed at the end."""
    clients: list[AsyncOpenAI] = []

    class Closed(AsyncOpenAI):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            clients.append(self)

    monkeypatch.setattr(chassis.model, "AsyncOpenAI", Closed)
    yield Settings.model_validate({"OPENAI_API_KEY": "sample", "OPENAI_BASE_URL": f"{standin.base_url}/v1"})
    for client in clients:
        await client.close()
