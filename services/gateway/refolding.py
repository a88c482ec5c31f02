"""Refolding: the gateway may only read the read tables, so it asks a projector to fold a held workflow again."""

from pydantic import ValidationError

from chassis.connection import Connection, NoAnswer
from contracts.refolds import REFOLD_BYTES_MAX, Outcome, RefoldAsked, Refolded
from contracts.subjects import REFOLD, WorkflowKey

PATIENCE_S = 10.0
"""For a long history, and for a projector that waits for its turn at the checkpoint."""


class NoProjector(Exception):
    """No projector can do it at the moment; the message says why."""


class Refolds:
    """Asks whichever projector hears it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def refold(self, key: WorkflowKey) -> Refolded:
        """Has a held workflow folded again. Raises NoProjector."""
        asked = RefoldAsked(owner=key.owner, workflow_id=key.workflow_id)
        try:
            answer = await self._connection.ask(REFOLD, asked.model_dump_json().encode(), timeout_s=PATIENCE_S)
            told = Refolded.model_validate_json(answer.data if len(answer.data) <= REFOLD_BYTES_MAX else b"")
        except NoAnswer as silent:
            raise NoProjector("No projector answers at the moment; try again in a few seconds.") from silent
        except ValidationError as strange:
            raise NoProjector("The projector answers in words of another version; update both.") from strange
        if told.outcome is Outcome.UNABLE:
            raise NoProjector(f"The projector cannot do it at the moment: {told.why}.")
        return told
