"""What the services' tests share: the stand-in model, running for real, and clients that are closed at the end."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from openai import AsyncOpenAI

import chassis.model
from chassis.settings import Settings
from local.standin.control import StandIn


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
