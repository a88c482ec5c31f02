"""The old dialect: frames of the first server's clients, and how events become such frames.

Old clients read `type` and `payload` alone, and the payload is always a string. Everything that newer programs want to
know stands beside it in the same frame.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from contracts.envelope import Recorded
from contracts.events import (
    Event,
    Failure,
    Terminal,
    WorkClaimed,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRequested,
)
from contracts.websocket import work_concerned
from contracts.works import Kind, Work

TEXTS: Mapping[Kind, str] = {
    Kind.RESEARCH: "Searching internet for information about {topic}",
    Kind.BLOG: "Writing blog post",
    Kind.SOCIAL: "Writing social media post",
    Kind.ILLUSTRATION: "Drawing illustration for content",
}
"""The progress texts, in their order. Old clients know these alone: of works of other kinds they are told nothing."""


class Frame(BaseModel):
    """One text frame to a client. Keys that say nothing are left out."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "type": "progress_event",
                    "payload": "Writing blog post",
                    "workflow_id": "01a20262-4036-74ac-b832-5ff8bc7b6bef",
                    "revision": 4,
                    "event": "work-claimed",
                    "work": "blog",
                    "attempt": 1,
                    "ts": "2026-11-25T10:00:01.123456Z",
                },
                {"type": "results", "payload": "01a20262-4036-74ac-b832-5ff8bc7b6bef"},
            ]
        },
    )

    type: Literal["progress_event", "results", "error"]
    payload: str
    workflow_id: str | None = None
    revision: int | None = None
    event: str | None = None
    work: Work | None = None
    attempt: int | None = None
    error: Failure | None = None
    ts: datetime | None = None

    def text(self) -> str:
        """The frame as it goes over the wire."""
        return self.model_dump_json(exclude_none=True)


class OldDialect:
    """Turns one workflow's events into the old dialect's frames: each progress text once, in their fixed order.

    A text whose turn has not come is held back until those before it were sent.
    """

    def __init__(self) -> None:
        self._turns: list[Kind | None] = []
        self._held: dict[Kind | None, Frame] = {}
        self._ended = False

    def frames(self, recorded: Recorded[Event]) -> Iterator[Frame]:
        """The frames that this event brings, in order; after a `results` frame there are no more."""
        if self._ended:
            return
        match recorded.event:
            case WorkflowRequested() as request:
                self._turns = _turns(request)
                self._topic = request.topic
                self._hold(None, _frame("progress_event", "Starting content creation workflow", recorded))
            case WorkClaimed(work=work):
                text = TEXTS.get(work.kind, "").format(topic=self._topic)
                self._hold(work.kind, _frame("progress_event", text, recorded))
            case WorkflowCompleted():
                self._ended = True
                yield _frame("results", recorded.key.workflow_id, recorded)
            case WorkflowFailed() | WorkflowCancelled() as ended:
                self._ended = True
                yield _frame("results", "Failed", recorded, error=_why(ended))
            case _:
                pass
        while self._turns and self._turns[0] in self._held:
            yield self._held.pop(self._turns.pop(0))

    def _hold(self, turn: Kind | None, frame: Frame) -> None:
        if turn in self._turns:
            self._held.setdefault(turn, frame)


def _turns(request: WorkflowRequested) -> list[Kind | None]:
    """The order in which texts are told; None is the start itself."""
    return [None, *(kind for kind in TEXTS if kind is not Kind.RESEARCH or request.research)]


def _frame(
    type: Literal["progress_event", "results"], payload: str, recorded: Recorded[Event], error: Failure | None = None
) -> Frame:
    event = recorded.event
    return Frame(
        type=type,
        payload=payload,
        workflow_id=recorded.key.workflow_id,
        revision=recorded.revision,
        event=event.type,
        work=work_concerned(event),
        attempt=event.attempt if isinstance(event, WorkClaimed | WorkflowFailed) else None,
        error=error,
        ts=recorded.recorded_at,
    )


def _why(ended: Terminal) -> Failure | None:
    match ended:
        case WorkflowFailed():
            return ended.error
        case WorkflowCancelled():
            return Failure(code="cancelled", message=ended.reason or "The workflow was cancelled.", retryable=True)
        case WorkflowCompleted():
            return None
