"""Deltas: the text of a work while a model still writes it. Live only, never in the log.

A stage sends pieces, and now and then the whole text so far (`offset` 0), so that whoever begins to listen late, or has
lost a piece, is whole again soon.
"""

from pydantic import BaseModel, ConfigDict

from contracts.envelope import Recorded
from contracts.events import Artefact, Count, Event, Ordinal, WorkClaimed, work_of
from contracts.workflow import is_closed_after
from contracts.works import Work


class Delta(BaseModel):
    """A piece of the text that one attempt writes. `offset`: how many characters (code points) stand before it."""

    model_config = ConfigDict(frozen=True)  # what a newer stage adds is left alone

    work: Work
    run: Ordinal
    attempt: Ordinal
    offset: Count
    text: str


class TextsHeard:
    """What one listener has heard of a workflow's unfinished texts: makes any deltas contiguous for it.

    Told every event and every delta as they come, it gives on what is new: within an attempt each character once, in
    order; a newer attempt begins again at 0; nothing of a work that is made, or of a run that is closed.
    """

    def __init__(self) -> None:
        self._heard: dict[Work, tuple[int, int, int]] = {}  # run, attempt, characters
        self._made: set[Work] = set()
        self._is_closed = False

    def note(self, recorded: Recorded[Event]) -> None:
        """An event: a newer claim ends the text before it, an artefact stands in the place of its text."""
        match recorded.event:
            case WorkClaimed() as claim:
                self._begin(claim.work, claim.run, claim.attempt)
            case Artefact() as made:
                self._made.add(work_of(made))
            case _:
                pass
        self._is_closed = is_closed_after(recorded.event, was_closed=self._is_closed)

    def news(self, delta: Delta) -> Delta | None:
        """The part of this delta that was not heard before. None: there is none, or a piece before it is missing."""
        if delta.work in self._made or self._is_closed:
            return None
        run, attempt, length = self._begin(delta.work, delta.run, delta.attempt)
        end = delta.offset + len(delta.text)
        if (run, attempt) != (delta.run, delta.attempt) or delta.offset > length or end <= length:
            return None
        self._heard[delta.work] = run, attempt, end
        return delta.model_copy(update={"offset": length, "text": delta.text[length - delta.offset :]})

    def _begin(self, work: Work, run: int, attempt: int) -> tuple[int, int, int]:
        """How much of the newest attempt was heard; nothing yet where this one is newer."""
        if (run, attempt) > self._heard.get(work, (0, 0, 0))[:2]:
            self._heard[work] = run, attempt, 0
        return self._heard[work]
