"""The desk: takes requests in and appends them to the log, whatever happens in between exactly once."""

import asyncio
import uuid
from contextlib import suppress
from typing import NamedTuple

from uuid_utils import uuid7

from chassis.event_store import Conflict, EventStore, History, OutcomeUnknown, StoreUnavailable
from contracts.requests import ContentRequest
from contracts.subjects import WorkflowKey
from contracts.workflow import decide

OWNER = "local"
"""Whose workflows these are, while there is no log-in."""

NAMESPACE = uuid.UUID("6f1c0f52-5a0e-5d0b-9b59-3a1f3f5f8f10")
"""Of workflow ids that follow from a client's own request id."""

PATIENCE_S, PAUSE_S = 10.0, 0.2
"""How long a request whose fate is unknown is looked for in a log that does not answer."""


class ResearchIsOff(Exception):
    """Research was asked for, but it is switched off here (PRESSROOM_RESEARCH=none)."""


class FateUnknown(StoreUnavailable):
    """The request may have been recorded or not, and the log does not answer; the message names the workflow."""


class Taken(NamedTuple):
    """A request that stands in the log: as which workflow, and where."""

    key: WorkflowKey
    position: int


class Desk:
    """Starts workflows. `researches`: whether research may be asked for."""

    def __init__(self, store: EventStore, *, researches: bool) -> None:
        self._store, self._researches = store, researches

    async def start(self, request: ContentRequest) -> Taken:
        """Starts the workflow that is asked for; the same request id again is the same workflow, at the same position.

        Raises ResearchIsOff, RequestConflict (the id was used for another request), LogFull, StoreUnavailable,
        FateUnknown, or UnreadableEvent or HistoryDamaged where the id leads to such a history.
        """
        if request.research and not self._researches:
            raise ResearchIsOff((ResearchIsOff.__doc__ or "").strip())
        key, event_id = _key(request), str(uuid7())
        history = History(key) if request.client_request_id is None else await self._store.read(key)
        while True:
            event = decide(request.command(), history.state)
            if event is None or history.find(event_id):
                return Taken(key, history.recorded[0].position)
            try:
                recorded = await self._store.append(history, event, id=event_id)
            except Conflict:
                history = await self._store.read(key)
            except OutcomeUnknown:
                history = await self._look_for(key)
            else:
                return Taken(key, recorded.position)

    async def _look_for(self, key: WorkflowKey) -> History:
        """The history after an append whose reply was lost. Raises FateUnknown where the log stays silent."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await asyncio.sleep(PAUSE_S)
                    with suppress(StoreUnavailable):
                        return await self._store.read(key)
        except TimeoutError:
            raise FateUnknown(
                f"The log stopped answering while it took this request. It may have been recorded, as workflow "
                f"{key.workflow_id}: look there before you ask again."
            ) from None

    async def history(self, workflow_id: str) -> History:
        """What has happened in a workflow; without events where there is no such workflow.

        Raises StoreUnavailable, UnreadableEvent, HistoryDamaged.
        """
        return await self._store.read(WorkflowKey(OWNER, workflow_id))


def _key(request: ContentRequest) -> WorkflowKey:
    if request.client_request_id is None:
        return WorkflowKey(OWNER, str(uuid7()))
    return WorkflowKey(OWNER, str(uuid.uuid5(NAMESPACE, f"{OWNER}\n{request.client_request_id}")))
