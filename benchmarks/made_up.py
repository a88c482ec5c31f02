"""A made-up log: histories of every kind, drawn from a seed and decided by the decider itself. Not a benchmark."""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from chassis.jetstream_log import Entry
from contracts.commands import (
    CancelWorkflow,
    ClaimWork,
    Command,
    CompleteWorkflow,
    FailAttempt,
    RecordBlog,
    RecordIllustration,
    RecordResearch,
    RecordSocialPost,
    RequestWorkflow,
    ResumeWorkflow,
)
from contracts.envelope import encode
from contracts.events import Brief, Event, Failure, Source, Usage
from contracts.platforms import Platform
from contracts.services import GATEWAY, STAGES
from contracts.subjects import WRITTEN_BY, EventSubject, WorkflowKey
from contracts.workflow import Phase, RuleBroken, Workflow, completion_is_due, decide, due, evolve
from contracts.works import Kind, Work

START = datetime(2026, 1, 1, tzinfo=UTC)
STEPS_MAX = 120
OPEN_AT_ONCE = 50
"""So many workflows run side by side, and their events stand mixed in the log."""

_WORDS = (
    "tea coffee bread silk salt amber paper glass ink bees bridges clocks comets cotton deserts dyes falcons ferries "
    "forests gardens glaciers granite harbours herbs honey islands ivory jade kites lanterns lighthouses looms maps "
    "markets mills mirrors monsoons mountains orchards pearls pottery railways rivers roses saffron sails songs spices "
    "springs stars steam steppes sugar tides timber tulips valleys vines volcanoes whales wheat wool"
)
WORDS = _WORDS.split()
SUBJECTS = ("history", "future", "chemistry", "economics", "craft", "art", "science", "secret life", "geography")
PLACES = ("China", "Persia", "the Alps", "Japan", "Venice", "the Baltic", "Peru", "Ethiopia", "Scotland", "Bengal")

TROUBLES = (
    Failure(code="rate-limited", message="The model has too much to do.", retryable=True),
    Failure(code="model-unavailable", message="The model does not answer.", retryable=True),
    Failure(code="answer-malformed", message="The model's answer cannot be read.", retryable=True),
)
ENDS = (
    Failure(code="quota-used-up", message="The model's quota is used up.", retryable=True),
    Failure(code="content-refused", message="The model refuses this topic.", retryable=False),
)


class Author:
    """Draws whole histories. The same seed draws the same ones."""

    def __init__(self, seed: int, *, markdown_length: int = 400) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - samples, no secrets
        self._markdown_length = markdown_length

    def history(self) -> list[Event]:
        """One workflow's events: most of them complete, some fail, are called off, are resumed, or still run."""
        state, events = Workflow(), list[Event]()
        patience = self._chance.choice((STEPS_MAX,) * 9 + (self._chance.randrange(1, 12),))
        for _ in range(patience):
            command = self._next(state)
            if command is None:
                break
            try:
                event = decide(command, state)
            except RuleBroken:
                continue
            if event is not None:
                events.append(event)
                state = evolve(state, event)
        return events

    def key(self) -> WorkflowKey:
        """A workflow's name."""
        return WorkflowKey("local", str(uuid.UUID(int=self._chance.getrandbits(128), version=4)))

    def event_id(self) -> str:
        """An event's id."""
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def topic(self) -> str:
        """Something to write about."""
        one, other = self._chance.sample(WORDS, 2)
        return f"The {self._chance.choice(SUBJECTS)} of {one} and {other} in {self._chance.choice(PLACES)}"

    # ------------------------------------------------------------ what comes next

    def _next(self, state: Workflow) -> Command | None:
        chance = self._chance
        match state.phase:
            case Phase.NEW:
                return self._request()
            case Phase.OPEN:
                return self._move(state)
            case Phase.COMPLETED:
                return None
            case Phase.FAILED | Phase.CANCELLED:
                return ResumeWorkflow(reason="Once more.") if chance.random() < 0.5 else None

    def _request(self) -> RequestWorkflow:
        chance = self._chance
        platforms = tuple(chance.sample(list(Platform), chance.choice((1, 1, 2, 3, 4))))
        return RequestWorkflow(
            topic=self.topic(),
            research=chance.random() < 0.6,
            platforms=platforms,
            brief=chance.choice((Brief(), Brief(tone="dry", language="English"))),
            client_request_id=chance.choice((None, self.event_id())),
        )

    def _move(self, state: Workflow) -> Command:
        if completion_is_due(state):
            return CompleteWorkflow(run=state.run)
        if self._chance.random() < 0.01:
            return CancelWorkflow(reason=self._chance.choice((None, "Changed my mind.")))
        work = self._chance.choice(due(state))
        claim = state.of(work).claim
        if claim is None or self._chance.random() < 0.03:  # the latter: its holder fell silent, another takes over
            return ClaimWork(work=work, run=state.run, worker=f"{work.kind}@host:7", now=START + timedelta(days=9_000))
        if self._chance.random() < 0.08:
            return self._failure(work, claim.run, claim.attempt)
        return self._made(work, claim.run, claim.attempt)

    def _failure(self, work: Work, run: int, attempt: int) -> FailAttempt:
        is_end = self._chance.random() < 0.15
        return FailAttempt(
            work=work,
            run=run,
            attempt=attempt,
            error=self._chance.choice(ENDS if is_end else TROUBLES),
            retry_at=None if is_end else START + timedelta(seconds=self._chance.randrange(100_000)),
            cost_known=self._chance.random() < 0.7,
            usage=self._chance.choice((None, self._usage())),
        )

    def _made(self, work: Work, run: int, attempt: int) -> Command:
        claim: dict[str, Any] = {"run": run, "attempt": attempt, "usage": self._usage()}
        match work.kind:
            case Kind.RESEARCH:
                return RecordResearch(**claim, notes=self._text(300), sources=self._sources())
            case Kind.BLOG:
                return RecordBlog(**claim, title=self.topic(), markdown=self._text(self._markdown_length), cited=())
            case Kind.SOCIAL:
                text = self._text(150)
                return RecordSocialPost(**claim, platform=work.platform, text=text, length=len(text))
            case Kind.ILLUSTRATION:
                return self._drawn(claim)

    def _drawn(self, claim: dict[str, Any]) -> RecordIllustration:
        sha256 = f"{self._chance.getrandbits(256):064x}"
        return RecordIllustration(
            **claim,
            key=f"images/local/made-up/{sha256}.png",
            sha256=sha256,
            bytes=self._chance.randrange(10_000, 2_000_000),
            width=1024,
            height=1024,
            content_type="image/png",
            prompt=self._text(200),
            alt_text=self._text(80),
        )

    def _sources(self) -> tuple[Source, ...]:
        return tuple(
            Source(
                number=number,
                url=f"https://{self._chance.choice(WORDS)}.example/{number}",
                title=self.topic(),
                quote=self._chance.choice((None, self._text(120))),
                retrieved_at=START + timedelta(seconds=self._chance.randrange(10**6)),
            )
            for number in range(1, self._chance.randrange(5) + 1)
        )

    def _usage(self) -> Usage:
        return Usage(
            provider="openai",
            model="gpt-6-luna",
            input_tokens=self._chance.randrange(4_000),
            output_tokens=self._chance.randrange(2_000),
            searches=self._chance.choice((0, 0, 2)),
            cost_usd=self._chance.choice((None, 0.0021, 0.0137)),
        )

    def _text(self, length: int) -> str:
        words = list[str]()
        while sum(map(len, words)) < length:
            words += self._chance.choices(WORDS, k=20)
        return " ".join(words).capitalize()[:length]


def entries(author: Author, workflows: int) -> Iterator[Entry]:
    """The log of so many workflows, from position 1, as it would stand in the stream."""
    chance = random.Random(workflows)  # noqa: S311 - samples, no secrets
    running: list[tuple[WorkflowKey, Iterator[tuple[int, Event]]]] = []
    begun, position = 0, 0
    while running or begun < workflows:
        while begun < workflows and len(running) < OPEN_AT_ONCE:
            running.append((author.key(), enumerate(author.history(), start=1)))
            begun += 1
        one = chance.choice(running)
        if (step := next(one[1], None)) is None:
            running.remove(one)
            continue
        position += 1
        yield _entry(author, one[0], *step, position)


def _entry(author: Author, key: WorkflowKey, revision: int, event: Event, position: int) -> Entry:
    service = writer_of(event)
    recorded_at = START + timedelta(milliseconds=50 * position)
    headers, body = encode(event, id=author.event_id(), service=service, recorded_at=recorded_at)
    return Entry(position, str(EventSubject(key, service, event.type, revision)), headers, body)


def writer_of(event: Event) -> str:
    """The service that appends such an event."""
    if event.type in WRITTEN_BY:
        return WRITTEN_BY[event.type]
    work = getattr(event, "work", None)
    if work is None:
        return GATEWAY
    return next(stage for stage, kinds in STAGES.items() if Work(work).kind in kinds)
