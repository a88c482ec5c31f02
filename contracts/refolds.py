"""Refolds: a held workflow is folded again from its first event, because somebody asks for it, and what came of that.

The gateway asks, and any one of the projectors answers: only they may write to the read tables.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from contracts.subjects import WorkflowKey

REFOLD_BYTES_MAX = 8 * 1024
"""Of a request and of an answer; what is larger is neither."""


class Outcome(StrEnum):
    """What came of it."""

    FOLDED = "folded"
    """The tables hold it back no more: they show all of it."""
    HELD = "held"
    """It is held still, and why; perhaps from a later event on."""
    NOT_HELD = "not-held"
    """Nobody held it: the tables show all of it anyway."""
    UNKNOWN = "unknown"
    """The tables know no such workflow."""
    UNABLE = "unable"
    """It cannot be done at the moment, and why."""


class RefoldAsked(BaseModel):
    """Which workflow is to be folded again."""

    model_config = ConfigDict(frozen=True, strict=True)

    owner: Annotated[str, Field(max_length=200)]
    workflow_id: Annotated[str, Field(max_length=200)]

    @property
    def key(self) -> WorkflowKey:
        """The workflow."""
        return WorkflowKey(self.owner, self.workflow_id)


class Refolded(BaseModel):
    """What came of it. `position`, `events`: of one that is held, from which event on, and how many are."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    why: str | None = None
    position: int | None = None
    events: int | None = None
