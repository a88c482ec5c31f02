"""The simulated stages: real declarations, with a model made of chance behind them."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from chassis.stage import Attempt, GiveUp, Retry, Stage, WorkFailed
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


class QuotaUsedUp(WorkFailed):
    """The account is empty: no further call will be answered."""


NEVER_RETRIED = ("refused", "quota-used-up")
"""What the simulation itself holds to be final, whatever the table of verdicts says."""


@dataclass(frozen=True)
class Roll:
    """How a call goes: how long it takes, and what it fails with, if it does."""

    seconds: float
    failure: type[WorkFailed] | None = None
    retry_after_s: float = 0.0


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

    def roll(self, call: int) -> Roll:
        """Throws the dice for this call."""
        ...


VERDICTS: dict[type[WorkFailed], Retry | GiveUp] = {
    TryLater: Retry(timedelta(seconds=1), most=timedelta(seconds=8)),
    Refused: GiveUp(),
    QuotaUsedUp: GiveUp(),
}
DECLARED = {name: Stage[Tools](name, VERDICTS) for name in STAGES}


async def work(attempt: Attempt, tools: Tools) -> Record:
    """A paid call: it takes a while, and it succeeds, fails for now or fails for good."""
    call = await tools.begin_call(attempt)
    roll = tools.roll(call)
    await asyncio.sleep(roll.seconds)
    await tools.gate()
    usage = USAGE.model_copy(update={"request_ids": (str(call),)})
    if roll.failure is not None:
        raise roll.failure(usage=usage, retry_after=timedelta(seconds=roll.retry_after_s))
    tools.succeeded(attempt.work)
    return replace(ANSWERS[attempt.work], run=attempt.run, attempt=attempt.number, usage=usage)


for _name, _kinds in STAGES.items():
    for _kind in sorted(_kinds):
        DECLARED[_name].does(_kind)(work)

USAGE = Usage(provider="chance", model="dice")
ANSWERS: dict[Work, Record] = {
    work: record(answer(WorkClaimed(work=work, run=1, attempt=1, worker=""))) for work in Work
}
"""What each work makes: made once, as making it takes longer than all that the runner does with it."""
