"""A stage, as its service declares it: its works, and what follows from each failure.

stage = Stage[Tools]("research", verdicts={RateLimited: Retry(timedelta(seconds=10)), TopicRefused: GiveUp()})

@stage.does(Kind.RESEARCH)
async def gather_sources(attempt: Attempt, tools: Tools) -> RecordResearch: ...
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import ClassVar, Generic, TypeVar

from contracts.commands import Record
from contracts.events import Event, Failure, Usage
from contracts.subjects import WorkflowKey
from contracts.workflow import Workflow, wakes
from contracts.works import Kind, Work

T = TypeVar("T")


class Spoils(Enum):
    """Which of the answers that an attempt was given are of no use to the next one, which wants others instead."""

    NO_ANSWER = auto()
    LAST_ANSWER = auto()
    ALL_ANSWERS = auto()


class WorkFailed(Exception):
    """A work could not be done. Its kinds name the reason; a kind's docstring is the sentence that people read.

    `retry_after`: the earliest time another try makes sense, when the other side said so. `cost_known`: False where the
    failed attempt may have been billed. `usage`: what it used, as far as is known.
    """

    spoils: ClassVar[Spoils] = Spoils.NO_ANSWER

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: timedelta = timedelta(0),
        cost_known: bool = True,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message or (type(self).__doc__ or "").partition("\n")[0])
        self.retry_after, self.cost_known, self.usage = retry_after, cost_known, usage

    @property
    def code(self) -> str:
        """The failure's name for programs: RateLimited is `rate-limited`."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(self).__name__).lower()


class DeadlinePassed(WorkFailed):
    """The work was not done within its deadline. It may have been billed."""


class Unexpected(WorkFailed):
    """Something unexpected went wrong; the service's log says what. Resume the workflow to try again."""

    spoils = Spoils.ALL_ANSWERS  # whatever was wrong, it may be in one of them


@dataclass(frozen=True)
class Retry:
    """Try again after a while: `after` the first attempt, twice as long after each further one, `most` at the most."""

    after: timedelta
    most: timedelta = timedelta(minutes=2)

    def delay(self, attempt: int, retry_after: timedelta) -> timedelta:
        """How long to wait after this attempt; never shorter than what the other side asked for."""
        return max(retry_after, min(self.after * 2 ** (attempt - 1), self.most))


@dataclass(frozen=True)
class GiveUp:
    """Another try would fail as well. `retryable`: a resume makes sense once somebody has mended the cause."""

    retryable: bool = True


Verdicts = Mapping[type[WorkFailed], Retry | GiveUp]

CHASSIS_VERDICTS: Verdicts = {DeadlinePassed: Retry(timedelta(seconds=2)), Unexpected: GiveUp()}
"""The failures that the chassis itself finds. An unexpected one is given up: trying a bug again only costs money."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at one work. `say` streams text while it is written (live only, never in the log)."""

    key: WorkflowKey
    state: Workflow
    work: Work
    run: int
    number: int
    say: Callable[[str], Awaitable[None]]


Does = Callable[[Attempt, T], Awaitable[Record]]

WITHIN = timedelta(minutes=3)
"""So long an attempt at a work may take, where its stage says nothing else: a long text with much thought in it."""


@dataclass(frozen=True)
class Stage(Generic[T]):
    """What one stage does, and its verdict on each failure. T: the tools that its works are given."""

    name: str
    verdicts: Verdicts
    _does: dict[Kind, Does[T]] = field(default_factory=dict[Kind, Does[T]])
    _within: dict[Kind, timedelta] = field(default_factory=dict[Kind, timedelta])

    def does(self, kind: Kind, within: timedelta = WITHIN) -> Callable[[Does[T]], Does[T]]:
        """Declares a function as the one that does every work of this kind, and how long one attempt may take."""

        def declare(function: Does[T]) -> Does[T]:
            if kind in self._does:
                raise ValueError(f"{self.name} has a function for {kind} already")
            self._does[kind], self._within[kind] = function, within
            return function

        return declare

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of work that this stage does."""
        return frozenset(self._does)

    @property
    def wakes(self) -> tuple[type[Event], ...]:
        """The events that can make one of its works due: what its consumer listens to."""
        return tuple(dict.fromkeys(event for kind in self._does for event in wakes(kind)))

    def deadline_s(self, kind: Kind) -> float:
        """How long one attempt at a work of this kind may take, in seconds."""
        return self._within[kind].total_seconds()

    async def perform(self, attempt: Attempt, tools: T) -> Record:
        """Does the work; the one paid effect. Raises WorkFailed."""
        return await self._does[attempt.work.kind](attempt, tools)

    def verdict(self, failed: WorkFailed) -> Retry | GiveUp:
        """What follows from this failure: the row of its class, or of the nearest class it derives from."""
        table = {**CHASSIS_VERDICTS, **self.verdicts}
        return next((table[kind] for kind in type(failed).__mro__ if kind in table), GiveUp())

    def failure(self, failed: WorkFailed) -> Failure:
        """The failure as the log tells it."""
        verdict = self.verdict(failed)
        retryable = verdict.retryable if isinstance(verdict, GiveUp) else True
        return Failure(code=failed.code, message=str(failed), retryable=retryable)
