"""Given these events, when this command, then this event: the language in which the rules of a workflow are told."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import get_args

from contracts.commands import (
    ClaimWork,
    Command,
    FailAttempt,
    GiveUpWork,
    Record,
    RequestWorkflow,
)
from contracts.envelope import Recorded
from contracts.events import (
    Artefact,
    AttemptFailed,
    BlogWritten,
    Event,
    Failure,
    IllustrationDrawn,
    Made,
    ResearchCompleted,
    SocialPostWritten,
    Source,
    Usage,
    WorkClaimed,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRequested,
    WorkflowResumed,
    work_of,
)
from contracts.platforms import Platform
from contracts.services import GATEWAY, STAGES
from contracts.subjects import WorkflowKey
from contracts.workflow import ATTEMPTS_MAX, Phase, RuleBroken, Workflow, decide, due, fold
from contracts.works import Kind, Work

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
"""When everything happens, unless a test says otherwise."""

LATER = NOON + timedelta(minutes=1)
"""When a failed attempt may be tried again."""

KEY = WorkflowKey("local", "0195-tea")
COMMANDS: tuple[type[Record], ...] = get_args(Record)
OVERLOADED = Failure(code="rate-limited", message="The model has too much to do.", retryable=True)
REFUSED = Failure(code="topic-refused", message="The model refuses this topic.", retryable=False)
USAGE = Usage(provider="openai", model="gpt-6-luna", input_tokens=900, output_tokens=400, cost_usd=0.0021)


# ---------------------------------------------------------------- given, when, then


@dataclass(frozen=True)
class Given:
    """A history, and what may be asked of it."""

    events: tuple[Event, ...]

    def when(self, command: Command) -> "Outcome":
        """What the workflow says to this command."""
        try:
            return Outcome(self.events, decide(command, fold(self.events)))
        except RuleBroken as refusal:
            return Outcome(self.events, refusal)

    def then_due(self, *works: str) -> None:
        """These works are due, in this order, and no other."""
        assert due(fold(self.events)) == [Work(work) for work in works]


@dataclass(frozen=True)
class Outcome:
    """What a command led to: an event, nothing, or a refusal."""

    before: tuple[Event, ...]
    said: Event | RuleBroken | None

    def then(self, event: Event) -> Given:
        """This event is recorded. -> the history with it"""
        assert self.said == event
        return Given((*self.before, event))

    def then_nothing(self) -> None:
        """Nothing is recorded, and nobody is told off."""
        assert self.said is None

    def then_refused(self, kind: type[RuleBroken]) -> None:
        """The rule of exactly this name is broken, and a whole sentence says so."""
        assert type(self.said) is kind, self.said
        assert str(self.said).endswith(".")

    def then_phase(self, phase: Phase) -> None:
        """Whatever was recorded, the workflow stands here."""
        assert self.state.phase is phase

    @property
    def state(self) -> Workflow:
        """The workflow afterwards."""
        assert not isinstance(self.said, RuleBroken), self.said
        return fold((*self.before, self.said) if self.said else self.before)


def given(*events: Event) -> Given:
    """The history of a workflow, as far as it goes."""
    return Given(events)


# ---------------------------------------------------------------- events


def requested(
    *, topic: str = "The history of tea", research: bool = False, platforms: Iterable[str] = ("linkedin",)
) -> WorkflowRequested:
    return WorkflowRequested(topic=topic, research=research, platforms=tuple(Platform(name) for name in platforms))


def claimed(work: str, attempt: int = 1, *, run: int = 1, worker: str = "writer-1") -> WorkClaimed:
    return WorkClaimed(work=Work(work), run=run, attempt=attempt, worker=worker)


def claims(work: str, count: int, *, run: int = 1) -> tuple[WorkClaimed, ...]:
    """Attempts that all ended without a word: their processes died."""
    return tuple(claimed(work, attempt, run=run) for attempt in range(1, count + 1))


def attempt_failed(work: str, attempt: int = 1, *, run: int = 1, retry_at: datetime = LATER) -> AttemptFailed:
    return AttemptFailed(
        work=Work(work), run=run, attempt=attempt, error=OVERLOADED, retry_at=retry_at, cost_known=True
    )


def failures(work: str, count: int) -> tuple[Event, ...]:
    """Attempts that were claimed and failed, one after the other."""
    return tuple(
        event for attempt in range(1, count + 1) for event in (claimed(work, attempt), attempt_failed(work, attempt))
    )


def researched(attempt: int = 1, *, run: int = 1, sources: int = 2) -> ResearchCompleted:
    found = tuple(
        Source(number=number, url=f"https://tea.example/{number}", title=f"Tea {number}", retrieved_at=NOON)
        for number in range(1, sources + 1)
    )
    return ResearchCompleted(run=run, attempt=attempt, usage=USAGE, notes="Tea is old.", sources=found)


def blog_written(attempt: int = 1, *, run: int = 1, title: str = "Tea", cited: Iterable[int] = ()) -> BlogWritten:
    return BlogWritten(
        run=run, attempt=attempt, usage=USAGE, title=title, markdown="# Tea\n\nA leaf.", cited=tuple(cited)
    )


def posted(platform: str = "linkedin", attempt: int = 1, *, run: int = 1) -> SocialPostWritten:
    return SocialPostWritten(run=run, attempt=attempt, platform=Platform(platform), text="Tea!", length=4)


def drawn(attempt: int = 1, *, run: int = 1) -> IllustrationDrawn:
    return IllustrationDrawn(
        run=run,
        attempt=attempt,
        key="images/local/0195-tea/5f.png",
        sha256="5f",
        bytes=1_024,
        width=64,
        height=48,
        content_type="image/png",
        prompt="A cup of tea",
        alt_text="A cup of tea on a table",
    )


def everything(*, run: int = 1) -> tuple[Event, ...]:
    """A request and all that it asks for; the run is open still."""
    return (requested(), blog_written(run=run), posted(run=run), drawn(run=run))


def completed(*, run: int = 1) -> WorkflowCompleted:
    return WorkflowCompleted(run=run)


def gave_up(work: str, attempt: int = 1, *, run: int = 1, error: Failure = REFUSED) -> WorkflowFailed:
    return WorkflowFailed(work=Work(work), run=run, attempt=attempt, error=error)


def cancelled(*, run: int = 1, reason: str | None = None) -> WorkflowCancelled:
    return WorkflowCancelled(run=run, reason=reason)


def resumed(run: int = 2, *, reason: str | None = None) -> WorkflowResumed:
    return WorkflowResumed(run=run, reason=reason)


def used_up(because: str) -> Failure:
    """Why a work fails whose attempts are used up."""
    return Failure(
        code="attempts-used-up",
        message=f"{ATTEMPTS_MAX} attempts failed. The last one{because}",
        retryable=True,
    )


# ---------------------------------------------------------------- commands


def ask(*, topic: str = "The history of tea", research: bool = False) -> RequestWorkflow:
    return RequestWorkflow(topic=topic, research=research, platforms=(Platform.LINKEDIN,))


def claim(work: str, *, run: int = 1, now: datetime = NOON, worker: str = "writer-1") -> ClaimWork:
    return ClaimWork(work=Work(work), run=run, worker=worker, now=now)


def record(made: Made) -> Record:
    """The command that is answered with this artefact."""
    (command,) = [command for command in COMMANDS if command.recorded_as is type(made)]
    return command(**{field.name: getattr(made, field.name) for field in fields(command)})


def fail(
    work: str, attempt: int = 1, *, run: int = 1, retry_at: datetime | None = LATER, error: Failure = OVERLOADED
) -> FailAttempt:
    return FailAttempt(work=Work(work), run=run, attempt=attempt, error=error, retry_at=retry_at, cost_known=True)


def give_up(work: str, *, run: int = 1) -> GiveUpWork:
    return GiveUpWork(work=Work(work), run=run)


# ---------------------------------------------------------------- the log


def as_recorded(events: Iterable[Event], key: WorkflowKey = KEY) -> list[Recorded[Event]]:
    """These events as one workflow's history in the log, one a second."""
    return [
        Recorded(
            event=event,
            id=f"id-{revision}",
            key=key,
            service=writer_of(event),
            revision=revision,
            position=100 + revision,
            recorded_at=NOON + timedelta(seconds=revision),
        )
        for revision, event in enumerate(events, start=1)
    ]


def writer_of(event: Event) -> str:
    """The service that appends this event, as the design's table has it."""
    match event:
        case WorkflowRequested() | WorkflowCancelled() | WorkflowResumed():
            return GATEWAY
        case WorkClaimed() | AttemptFailed() | WorkflowFailed():
            return _stage_of(event.work.kind)
        case Artefact():
            return _stage_of(work_of(event).kind)
        case WorkflowCompleted():
            return _stage_of(Kind.ILLUSTRATION)


def _stage_of(kind: Kind) -> str:
    return next(stage for stage, kinds in STAGES.items() if kind in kinds)
