"""The simulated stages: real declarations, with a model made of chance behind them."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from chassis.stage import Attempt, GiveUp, Retry, Stage, Verdicts, WorkFailed
from contracts.commands import Record
from contracts.events import Usage, WorkClaimed
from contracts.services import STAGES
from contracts.works import Work
from tests.contracts.generated import answer
from tests.contracts.given import record


class TryLater(WorkFailed):
    """The model is busy."""


class Refused(WorkFailed):
    """The model refuses."""


class Tools(Protocol):
    """What the simulated works need of their process: time that passes for it, and dice."""

    async def begin_call(self, attempt: Attempt) -> int:
        """Counts a paid call. -> its number"""
        ...

    def succeeded(self, work: Work) -> None:
        """Notes a success that was paid for."""
        ...

    async def gate(self) -> None:
        """Where a frozen process waits and a dead one ends."""
        ...

    def roll(self) -> tuple[float, bool, bool]:
        """-> how long the call takes in seconds, whether it is refused, whether it fails for now"""
        ...


VERDICTS: Verdicts = {TryLater: Retry(timedelta(seconds=1), most=timedelta(seconds=8)), Refused: GiveUp()}
DECLARED = {name: Stage[Tools](name, VERDICTS) for name in STAGES}


async def work(attempt: Attempt, tools: Tools) -> Record:
    """A paid call: it takes a while, and it succeeds, fails for now or fails for good."""
    call = await tools.begin_call(attempt)
    seconds, refused, failed = tools.roll()
    await asyncio.sleep(seconds)
    await tools.gate()
    usage = Usage(provider="chance", model="dice", request_ids=(str(call),))
    if refused:
        raise Refused(usage=usage)
    if failed:
        raise TryLater(usage=usage)
    tools.succeeded(attempt.work)
    return _record(attempt, usage)


for _name, _kinds in STAGES.items():
    for _kind in _kinds:
        DECLARED[_name].does(_kind)(work)


def _record(attempt: Attempt, usage: Usage) -> Record:
    claim = WorkClaimed(work=attempt.work, run=attempt.run, attempt=attempt.number, worker="")
    return replace(record(answer(claim)), usage=usage)
