"""A real stage with its real runner, on a log in memory: what one delivery after the other comes to."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Generic, TypeVar
from unittest.mock import patch

from chassis.answers import Answers
from chassis.event_store import utc_now
from chassis.memory_store import MemoryLog, MemoryStore
from chassis.runner import Runner, Say
from chassis.stage import Stage
from contracts.commands import ResumeWorkflow
from contracts.events import Artefact, AttemptFailed, Event, Usage, WorkClaimed, WorkflowFailed
from contracts.services import GATEWAY
from contracts.workflow import decide
from tests.chassis.held import Held
from tests.services.attempts import KEY
from tests.waiting import until

T = TypeVar("T")

DEADLINE_S = 987.0
"""Of an attempt: a number that nothing else here has."""


class Workshop(Generic[T]):
    """One stage, a workflow with this history, and a folder for answers. Each delivery is that of a new process."""

    key = KEY

    def __init__(self, stage: Stage[T], make_tools: Callable[[], T], *before: Event, folder: Path | None) -> None:
        self._stage, self._make_tools, self._folder = stage, make_tools, folder
        self._ahead = timedelta()
        self.heard = list[str]()
        self.log = MemoryLog(clock=self.now)
        for event in before:
            self.put(event)

    def now(self) -> datetime:
        return utc_now() + self._ahead

    def put(self, event: Event) -> None:
        """Somebody else appends this."""
        history = self.log.histories(KEY)[-1]
        self.log.append(GATEWAY, history, event, id=f"put-{history.revision + 1}")
        self.wakes_at = history.revision

    def resume(self) -> None:
        opened = decide(ResumeWorkflow(), self.log.histories(KEY)[-1].state)
        assert opened
        self.put(opened)

    async def deliver(self) -> None:
        """The event that makes the work due is delivered, when its next attempt may be made."""
        if self.events and isinstance(last := self.events[-1], AttemptFailed):
            self._ahead += max(timedelta(), last.retry_at - self.now())
        runner = Runner(
            self._stage,
            MemoryStore(self.log, self._stage.name),
            self._make_tools(),
            worker="w",
            deadline_s=DEADLINE_S,
            streams=lambda key, claimed: self._say,
            clock=self.now,
            answers=Answers(self._folder),
        )
        await runner.run(Held(self.log.histories(KEY)[-1].recorded[self.wakes_at]))

    async def deliver_until_the_deadline(self, hangs: Callable[[], Awaitable[bool]]) -> None:
        """The same, with a deadline that passes as soon as this is so: no test waits for it."""
        real, deadlines = asyncio.timeout, list[asyncio.Timeout]()

        def timeout(delay: float | None) -> asyncio.Timeout:
            made = real(delay)
            if delay == DEADLINE_S:
                deadlines.append(made)
            return made

        with patch.object(asyncio, "timeout", timeout):
            delivering = asyncio.create_task(self.deliver())
            await until(hangs, "the call hangs")
        deadlines[-1].reschedule(asyncio.get_running_loop().time())
        await delivering

    @property
    def _say(self) -> Say:
        async def say(text: str) -> None:
            self.heard.append(text)

        return say

    @property
    def events(self) -> list[Event]:
        return [recorded.event for recorded in self.log.histories(KEY)[-1].recorded]

    @property
    def failed(self) -> AttemptFailed | WorkflowFailed:
        """How the last attempt failed."""
        last = self.events[-1]
        assert isinstance(last, AttemptFailed | WorkflowFailed), last
        return last

    @property
    def made(self) -> Artefact:
        """What the last attempt made."""
        made = [event for event in self.events if isinstance(event, Artefact)][-1]
        assert isinstance(self.events[-1], Artefact) or not isinstance(self.events[-1], WorkClaimed), self.events[-1]
        return made

    @property
    def told(self) -> list[Usage]:
        """All that the stage's own events tell of what was used."""
        of_stage = [one for one in self.log.histories(KEY)[-1].recorded if one.service == self._stage.name]
        usages = [getattr(one.event, "usage", None) for one in of_stage]
        return [usage for usage in usages if isinstance(usage, Usage)]

    @property
    def kept(self) -> list[Path]:
        """The answers that are kept now."""
        return [path for path in self._folder.rglob("*") if path.is_file()] if self._folder else []
