"""Health: whether a process lives and with how much on its hands, whether it can do its job, and if not, why."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Check = Callable[[], str | None]
"""Says what is wrong in a sentence, or None."""


class Queue(NamedTuple):
    """How much waits somewhere in a process, or is held by it, and the most that may."""

    length: int
    most: int


Measure = Callable[[], Queue]
"""Says how full a queue is at this moment."""


TROUBLE_LASTS_S = 60.0
"""What nobody has tried for so long may work again: it is not held against a process any more."""


class Trouble:
    """A check of what is used now and then: why it did not work when it was tried last, or None."""

    def __init__(self, *, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._why, self._met_at = "", -TROUBLE_LASTS_S

    def meets(self, why: str) -> None:
        """It was tried, and this was in the way: a sentence."""
        self._why, self._met_at = why, self._steady()

    def ends(self) -> None:
        """It was tried, and worked."""
        self._met_at = -TROUBLE_LASTS_S

    def __call__(self) -> str | None:
        """See Check."""
        return self._why if self._steady() - self._met_at < TROUBLE_LASTS_S else None


class Health:
    """What a process checks of itself, by name."""

    def __init__(self, **checks: Check) -> None:
        self._checks = checks
        self._without: dict[str, Check] = {}
        self._queues: dict[str, Measure] = {}

    def watch(self, **checks: Check) -> None:
        """Checks these as well, or in the place of those with the same names."""
        self._checks.update(checks)

    def can_do_without(self, **checks: Check) -> None:
        """Checks these as well; what is wrong with them is told, and leaves the process ready for the rest."""
        self._without.update(checks)

    def measure(self, **queues: Measure) -> None:
        """Tells of these how full they are. A full one is no trouble: whoever brings more waits, or is refused."""
        self._queues.update(queues)

    def load(self) -> dict[str, Any]:
        """How many tasks of asyncio the process runs, the one that asks included, and how full its queues are."""
        queues = {name: measure()._asdict() for name, measure in self._queues.items()}
        return {"tasks": len(asyncio.all_tasks()), "queues": queues}

    def report(self) -> dict[str, str]:
        """Each part and what is wrong with it; `ok` where nothing is."""
        return {name: check() or "ok" for name, check in self._checks.items()}

    async def live(self, _: Request) -> Response:
        """The process runs; and what it has on its hands."""
        return JSONResponse({"status": "ok", "load": self.load()})

    async def ready(self, _: Request) -> Response:
        """200 when every part is in order, else 503 with what is wrong."""
        report = self.report()
        is_ready = all(what == "ok" for what in report.values())
        lacks = {name: why for name, check in self._without.items() if (why := check())}
        return JSONResponse(
            {"status": "ok" if is_ready else "unavailable", "parts": report} | ({"without": lacks} if lacks else {}),
            status_code=200 if is_ready else 503,
        )

    def routes(self) -> list[Route]:
        """Where the answers are served."""
        return [Route("/health/live", self.live), Route("/health/ready", self.ready)]


class QuietServer(uvicorn.Server):
    """A web server that leaves the signals to its process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """See uvicorn.Server."""
        yield


@contextlib.asynccontextmanager
async def served(health: Health, port: int) -> AsyncGenerator[None]:
    """Serves a process's health on this port of this machine; on 0 not at all."""
    app = Starlette(routes=health.routes())
    server = QuietServer(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve()) if port else None
    try:
        yield
    finally:
        server.should_exit = True
        if serving:
            await serving
