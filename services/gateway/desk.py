"""The desk: takes requests in and appends them to the log, whatever happens in between exactly once."""

import asyncio
import uuid

from uuid_utils import uuid7

from chassis.event_store import Conflict, EventStore, History, OutcomeUnknown, StoreUnavailable
from contracts.requests import ContentRequest
from contracts.subjects import WorkflowKey
from contracts.workflow import decide

OWNER = "local"
"""Whose workflows these are, while there is no log-in."""

NAMESPACE = uuid.UUID("6f1c0f52-5a0e-5d0b-9b59-3a1f3f5f8f10")
"""Of workflow ids that follow from a client's own request id."""

TRIES_MAX = 5
PAUSE_S = 0.2


class ResearchIsOff(Exception):
    """Research was asked for, but it is switched off here (PRESSROOM_RESEARCH=none)."""


class Desk:
    """Starts workflows. `researches`: whether research may be asked for."""

    def __init__(self, store: EventStore, *, researches: bool) -> None:
        self._store, self._researches = store, researches

    async def start(self, request: ContentRequest) -> WorkflowKey:
        """Starts the workflow that is asked for; the same request id again is the same workflow. -> its key

        Raises ResearchIsOff, RequestConflict (the id was used for something else), LogFull, StoreUnavailable.
        """
        if request.research and not self._researches:
            raise ResearchIsOff((ResearchIsOff.__doc__ or "").strip())
        key, event_id = _key(request), str(uuid7())
        history = History(key) if request.client_request_id is None else await self._store.read(key)
        for _ in range(TRIES_MAX):
            event = decide(request.command(), history.state)
            if event is None or history.find(event_id):
                return key
            try:
                await self._store.append(history, event, id=event_id)
            except Conflict:
                pass
            except OutcomeUnknown:
                await asyncio.sleep(PAUSE_S)
            else:
                return key
            history = await self._store.read(key)
        raise StoreUnavailable("the log did not confirm the request")

    async def history(self, workflow_id: str) -> History:
        """What has happened in a workflow; without events where there is no such workflow. Raises StoreUnavailable."""
        return await self._store.read(WorkflowKey(OWNER, workflow_id))


def _key(request: ContentRequest) -> WorkflowKey:
    if request.client_request_id is None:
        return WorkflowKey(OWNER, str(uuid7()))
    return WorkflowKey(OWNER, str(uuid.uuid5(NAMESPACE, f"{OWNER}\n{request.client_request_id}")))
