"""The processes of the plant, of whatever service: they die, freeze, fall silent, and take their time."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from chassis.event_store import History
from contracts.events import Event

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")


class Host:
    """One life of one process. Who starts a process again makes a new one."""

    def __init__(self, world: "World", name: str) -> None:
        self.world, self.name = world, name
        self.alive = True
        self.frozen_until = 0.0
        self.muted_until = 0.0
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._off = world.clock_off(name)
        self._tasks: dict[asyncio.Task[Any], None] = {}  # in order: a set of tasks would differ from run to run

    @property
    def is_frozen(self) -> bool:
        """Does it not run at the moment, without knowing?"""
        return self.frozen_until > 0 and self.world.time() < self.frozen_until  # most never were

    def run(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Something that this process does, until it ends or the process dies. An error in it breaks the run."""
        task = self.try_to(work)
        task.add_done_callback(self._check)
        return task

    def try_to(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Something that may fail, as whoever asked for it will see."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    def die(self) -> None:
        """Nothing that it was at reaches the world any more."""
        self.alive = False
        self.gone.set_result(None)
        for task in list(self._tasks):
            task.cancel()

    def freeze(self, until: float) -> None:
        """It stands still; the world goes on."""
        self.frozen_until = max(self.frozen_until, until)

    def now(self) -> datetime:
        """The time by the clock of its machine, which may be wrong."""
        return self.world.now() + self._off

    def clock(self) -> datetime:
        """The time by which it goes."""
        return self.now()

    def learned(self, revision: int) -> None:
        """It has read a history up to here."""

    def appends(self, history: History, event: Event) -> None:
        """It is about to append this, on what it has read."""

    async def gate(self) -> None:
        """Where the process meets the world: a frozen one waits, a dead one never comes through."""
        while True:
            if not self.alive:
                await asyncio.get_running_loop().create_future()
            if not self.is_frozen:
                return
            await asyncio.sleep(self.frozen_until - self.world.time())

    async def step(self) -> None:
        """One step takes its time."""
        dice = self.world.random.random()
        if dice < 0.4:  # the others take none
            await asyncio.sleep(2.5 * dice * self.world.mix.step_s)
        if not self.alive or self.is_frozen:
            await self.gate()

    def _check(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (wrong := task.exception()) is not None:
            self.world.breaks(f"{self.name} ended with {type(wrong).__name__}: {wrong}")
