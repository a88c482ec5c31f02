"""How a workflow stands, folded from its frames: which step is where, why, and what is being written. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from cli.frames import (
    ATTEMPT_FAILED,
    CANCELLED,
    CLAIMED,
    COMPLETED,
    FAILED,
    REQUESTED,
    RESUMED,
    TERMINAL,
    Frame,
    Problem,
)
from cli.wording import count, moment_of, one_line

TEXT_KEPT = 4_000
"""Of a text that is being written, so many of its last characters: more than any terminal shows of it."""


class State(StrEnum):
    """Where a step stands."""

    WAITING = "waiting"
    WORKING = "working"
    RETRYING = "retrying"
    DONE = "done"
    GIVEN_UP = "given up"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Step:
    """One work of the workflow. `text` is the end of what was heard of it, `heard` how many characters that were.

    `lost`: the attempt before this one, where that never ended.
    """

    work: str
    state: State = State.WAITING
    run: int = 0
    attempt: int = 0
    lost: int = 0
    began: datetime | None = None
    ended: datetime | None = None
    retry_at: datetime | None = None
    why: str = ""
    made: str = ""
    text: str = ""
    heard: int = 0


@dataclass(frozen=True)
class Progress:
    """A workflow as far as its frames tell. `revision` is that of the last event, `position` its place in the log."""

    workflow_id: str | None = None
    topic: str = ""
    phase: str = "open"
    run: int = 1
    revision: int = 0
    position: int = 0
    requested_at: datetime | None = None
    told_at: datetime | None = None
    steps: Mapping[str, Step] = field(default_factory=dict[str, Step])
    error: Problem | None = None
    failed_work: str = ""
    reason: str = ""

    @property
    def is_closed(self) -> bool:
        """Whether the run has ended."""
        return self.phase != "open"

    @property
    def writing(self) -> Step | None:
        """The first step of which text is being written now."""
        return next((step for step in self.steps.values() if step.state is State.WORKING and step.text), None)


def evolve(progress: Progress, frame: Frame) -> Progress:
    """The progress after this frame. An event that was heard before changes nothing."""
    match frame.type:
        case "event" if frame.revision > progress.revision:
            return _evolve(replace(progress, workflow_id=frame.workflow_id or progress.workflow_id), frame)
        case "delta" if frame.work in progress.steps and not progress.is_closed:
            return _with(progress, _hear(progress.steps[frame.work], frame))
        case _:
            return progress


def _evolve(before: Progress, frame: Frame) -> Progress:
    now = replace(before, revision=frame.revision, position=frame.position, told_at=frame.ts)
    step = before.steps.get(frame.work, Step(frame.work))
    match frame.event:
        case event if event == REQUESTED:
            topic = one_line(str(frame.data.get("topic", "")))
            return replace(now, topic=topic, requested_at=frame.ts, steps=_steps(frame.data))
        case event if event == CLAIMED:
            return _with(now, _claimed(step, frame))
        case event if event == ATTEMPT_FAILED:
            return _with(now, _failed(step, frame))
        case event if event == RESUMED:
            return _opened(now, frame)
        case event if event in TERMINAL:
            return _closed(now, frame)
        case _ if frame.work:
            return _with(now, replace(_ended(step, frame), state=State.DONE, made=_made(frame), why=""))
        case _:
            return now  # an event that newer servers know


def _steps(asked: Mapping[str, Any]) -> dict[str, Step]:
    social = [f"social:{platform}" for platform in asked.get("platforms") or ()]
    works = [*(["research"] if asked.get("research") else []), "blog", *social, "illustration"]
    return {work: Step(work) for work in works}


def _with(progress: Progress, step: Step) -> Progress:
    return replace(progress, steps={**progress.steps, step.work: step})


def _claimed(step: Step, frame: Frame) -> Step:
    claimed = replace(step, state=State.WORKING, began=frame.ts, ended=None, retry_at=None, why="")
    if (frame.run, frame.attempt) == (step.run, step.attempt):
        return claimed  # its text came before its claim, and counts
    return replace(claimed, run=frame.run, attempt=frame.attempt, lost=_lost(step, frame), text="", heard=0)


def _lost(step: Step, frame: Frame) -> int:
    """The attempt that still ran when the frame's began, 0 without one."""
    return step.attempt if step.state is State.WORKING and step.run == frame.run else 0


def _failed(step: Step, frame: Frame) -> Step:
    why = frame.error.message if frame.error else frame.payload
    retry_at = frame.data.get("retry_at")
    ended = _ended(step, frame)
    return replace(ended, state=State.RETRYING, why=one_line(why), retry_at=moment_of(retry_at), attempt=frame.attempt)


def _ended(step: Step, frame: Frame) -> Step:
    return replace(step, ended=frame.ts, retry_at=None, text="", heard=0)


def _opened(progress: Progress, frame: Frame) -> Progress:
    again = {work: step if step.state is State.DONE else Step(work) for work, step in progress.steps.items()}
    return replace(
        progress, phase="open", run=frame.run, steps=again, error=None, failed_work="", reason=_reason(frame)
    )


def _closed(progress: Progress, frame: Frame) -> Progress:
    phase = {COMPLETED: "completed", FAILED: "failed", CANCELLED: "cancelled"}[frame.event]
    steps = {
        work: step if step.state is State.DONE else replace(_ended(step, frame), state=State.STOPPED)
        for work, step in progress.steps.items()
    }
    closed = replace(progress, phase=phase, steps=steps, reason=_reason(frame))
    if frame.event != FAILED:
        return closed
    why = one_line(frame.error.message if frame.error else frame.payload)
    given_up = replace(steps.get(frame.work, Step(frame.work)), state=State.GIVEN_UP, why=why, attempt=frame.attempt)
    return _with(replace(closed, error=frame.error, failed_work=frame.work), given_up)


def _reason(frame: Frame) -> str:
    return one_line(str(frame.data.get("reason") or ""))


def _hear(step: Step, frame: Frame) -> Step:
    """The step with this piece of text. A new attempt begins anew; what is not the latest attempt's is dropped."""
    theirs, ours = (frame.run, frame.attempt), (step.run, step.attempt)
    if theirs < ours or (theirs == ours and step.state is not State.WORKING):
        return step
    if theirs > ours:  # its claim is on its way
        lost = _lost(step, frame)
        step = Step(step.work, State.WORKING, run=frame.run, attempt=frame.attempt, lost=lost)
    return replace(step, text=_joined(step, frame)[-TEXT_KEPT:], heard=frame.offset + len(frame.payload))


def _joined(step: Step, frame: Frame) -> str:
    """A piece that repeats what was heard replaces it; one behind a hole begins anew, and shows it."""
    repeated = step.heard - frame.offset
    if repeated < 0:
        return f"… {frame.payload}"
    return step.text[: max(0, len(step.text) - repeated)] + frame.payload


def _made(frame: Frame) -> str:
    """What the step made, in a few words."""
    data = frame.data
    match frame.event:
        case "research-completed":
            return count(len(data.get("sources") or ()), "source")
        case "blog-written":
            return one_line(str(data.get("title", "")))
        case "social-post-written" if isinstance(data.get("length"), int):
            return count(data["length"], "character")
        case "illustration-drawn":
            return f"{data.get('width')} × {data.get('height')}"
        case _:
            return ""
