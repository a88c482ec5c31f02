"""For tests: reads the stand-in's calls and tells it what to do to the next ones."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import httpx2
from pydantic import TypeAdapter

from .calls import Call

CALLS = TypeAdapter(list[Call])


class StandIn:
    """`async with StandIn("http://127.0.0.1:4010") as standin: await standin.rule(do={"status": 500}, times=1)`."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._http = httpx2.AsyncClient(base_url=f"{base_url.rstrip('/')}/_standin", trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def calls(self) -> list[Call]:
        return CALLS.validate_json((await self._send("GET", "/calls")).content)

    async def calls_until(self, enough: Callable[[list[Call]], bool]) -> list[Call]:
        """Asks again until the calls satisfy the test; put an `asyncio.timeout` around it."""
        while not enough(calls := await self.calls()):
            pass
        return calls

    async def reset(self) -> None:
        """Forget the calls; the numbers start at 1 again."""
        await self._send("DELETE", "/calls")

    async def rule(
        self, *, do: Mapping[str, Any], when: Mapping[str, str] | None = None, times: int | None = None, skip: int = 0
    ) -> None:
        """Append a rule; `times=None` is for ever. What `when` and `do` may say: see `faults.py`."""
        await self._send("POST", "/rules", {"when": when or {}, "do": do, "times": times, "skip": skip})

    async def clear(self) -> None:
        """Drop all rules."""
        await self._send("DELETE", "/rules")

    async def latency(self, seconds: float) -> None:
        await self._send("PUT", "/latency", {"seconds": seconds})

    async def _send(self, method: str, path: str, body: object = None) -> httpx2.Response:
        return (await self._http.request(method, path, json=body)).raise_for_status()
