"""The desk: takes requests in and appends them to the log, whatever happens in between exactly once."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

from uuid_utils import uuid7

from chassis.event_store import (
    Conflict,
    EventStore,
    History,
    HistoryShort,
    LogFull,
    OutcomeUnknown,
    StoreUnavailable,
)
from chassis.health import Check
from contracts.commands import CancelWorkflow, Command, RequestWorkflow, ResumeWorkflow
from contracts.envelope import Recorded
from contracts.events import Event, WorkflowCancelled, WorkflowRequested, WorkflowResumed
from contracts.requests import ContentRequest
from contracts.subjects import TOKEN, WorkflowKey
from contracts.workflow import UnknownWorkflow, decide

OWNER = "local"
"""Whose workflows these are, while there is no log-in."""

NAMESPACE = uuid.UUID("6f1c0f52-5a0e-5d0b-9b59-3a1f3f5f8f10")
"""Of workflow ids that follow from a client's own request id."""

TRIES_MAX = 2
"""Appends that get no reply and leave nothing behind: a log whose disk is full answers reads, and never an append."""

PATIENCE_S, PAUSE_S = 10.0, 0.2
"""How long a request whose fate is unknown is looked for in a log that does not answer."""

STALL_S = 12.0
"""So long a log may stall that changes its leader, and cut appends off meanwhile: no fate is called unknown before."""

RECORD_S = 25.0
"""Of all tries together: clients give up after 30 s, and would not hear what became of their request."""


class ResearchIsOff(Exception):
    """Research was asked for, but it is switched off here (PRESSROOM_RESEARCH=none)."""


class FateUnknown(StoreUnavailable):
    """The request may have been recorded or not, and the log does not answer; the message names the workflow."""


class Taken(NamedTuple):
    """A request that stands in the log: as which workflow, and where."""

    key: WorkflowKey
    position: int


IsKnown = Callable[[WorkflowKey], Awaitable[bool]]
"""Raises StoreUnavailable where nobody can tell."""


async def never(_: WorkflowKey) -> bool:
    """Where the log has one copy, what is not read is not there."""
    return False


class Desk:
    """Starts, cancels and resumes workflows.

    `researches`: whether research may be asked for. `trouble`: why the log takes nothing in at the moment, where that
    is known: then it is not waited for. `is_known`: whether the log knows of a workflow that the copy at hand lacks.

    What it does with a workflow raises LogFull, StoreUnavailable, FateUnknown, or UnreadableEvent or HistoryDamaged
    where its history cannot be read.
    """

    def __init__(
        self, store: EventStore, *, researches: bool, trouble: Check = lambda: None, is_known: IsKnown = never
    ) -> None:
        self._store, self._researches, self._trouble, self._is_known = store, researches, trouble, is_known

    async def start(self, request: ContentRequest) -> Taken:
        """Starts the workflow that is asked for; the same request id again is the same workflow, at the same position.

        Raises ResearchIsOff, RequestConflict (the id was used for another request).
        """
        if request.research and not self._researches:
            raise ResearchIsOff((ResearchIsOff.__doc__ or "").strip())
        key = _key(request)
        history = History(key) if request.client_request_id is None else await self._store.read(key)
        history = await self._record(history, request.command())
        return Taken(key, history.recorded[0].position)

    async def cancel(self, workflow_id: str, reason: str | None) -> Recorded[Event]:
        """Calls the open run off. -> the event that stands for it, now or since before

        Raises UnknownWorkflow, AlreadyClosed (it has completed or failed).
        """
        history = await self._record(await self.history(workflow_id), CancelWorkflow(reason=reason))
        return _last(history, WorkflowCancelled)

    async def resume(self, workflow_id: str, reason: str | None) -> Recorded[Event]:
        """Opens the next run of a failed or cancelled workflow. -> the event that opened the run, now or since before

        Raises UnknownWorkflow, AlreadyClosed (it has completed), HistoryFull.
        """
        history = await self._record(await self.history(workflow_id), ResumeWorkflow(reason=reason))
        return _last(history, WorkflowRequested, WorkflowResumed)

    async def _record(self, history: History, command: Command) -> History:
        """Appends what records the command, exactly once. -> the history that contains it, or said it before

        Raises FateUnknown where nobody knows in time what became of it.
        """
        try:
            async with asyncio.timeout(RECORD_S):
                return await self._until_recorded(history, command)
        except TimeoutError:
            raise FateUnknown(_unknown(history.key, command)) from None

    async def _until_recorded(self, history: History, command: Command) -> History:
        event_id, lost, stalls_until = str(uuid7()), 0, time.monotonic() + STALL_S
        while not history.find(event_id):
            if lost >= TRIES_MAX and time.monotonic() > stalls_until:
                raise FateUnknown(_unknown(history.key, command))
            event = decide(command, history.state)
            if event is None:
                break
            try:
                history = await self._append(history, event, event_id)
            except OutcomeUnknown:
                history, lost = await self._look_for(history.key, command), lost + 1
            except StoreUnavailable as away:
                if lost and not isinstance(away, LogFull):  # this try had no effect; an earlier one may have had one
                    raise FateUnknown(_unknown(history.key, command)) from away
                raise
        return history

    async def _append(self, history: History, event: Event, event_id: str) -> History:
        """The history with this event, or with that of somebody who was first."""
        if why := self._trouble():
            raise StoreUnavailable(why)
        try:
            return history.then(await self._store.append(history, event, id=event_id))
        except Conflict:
            try:
                return await self._store.read(history.key, reach=history.revision + 1)
            except HistoryShort as lagging:
                raise StoreUnavailable(str(lagging)) from lagging

    async def _look_for(self, key: WorkflowKey, command: Command) -> History:
        """The history after an append whose reply was lost. Raises FateUnknown where the log stays silent."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await asyncio.sleep(PAUSE_S)
                    with suppress(StoreUnavailable):
                        return await self._store.read(key)
        except TimeoutError:
            raise FateUnknown(_unknown(key, command)) from None

    async def history(self, workflow_id: str, *, reach: int = 0) -> History:
        """What has happened in a workflow, at least up to revision `reach`.

        Raises UnknownWorkflow, HistoryShort (it has fewer events), StoreUnavailable, UnreadableEvent, HistoryDamaged.
        """
        key = WorkflowKey(OWNER, workflow_id)
        try:
            history = await self._store.read(key, reach=reach) if TOKEN.fullmatch(workflow_id) else History(key)
        except HistoryShort:
            history = await self._store.read(key)
            if history.recorded:
                raise
        if not history.recorded:
            if TOKEN.fullmatch(workflow_id) and await self._is_known(key):
                raise StoreUnavailable("this copy of the log lacks a workflow that the others have")
            raise UnknownWorkflow("There is no such workflow.")
        return history


def _key(request: ContentRequest) -> WorkflowKey:
    if request.client_request_id is None:
        return WorkflowKey(OWNER, str(uuid7()))
    return WorkflowKey(OWNER, str(uuid.uuid5(NAMESPACE, f"{OWNER}\n{request.client_request_id}")))


def _unknown(key: WorkflowKey, command: Command) -> str:
    """What is told when nobody knows what became of a command."""
    told = (
        "The log stopped answering while it took this request. "
        f"It may have been recorded, in workflow {key.workflow_id}"
    )
    if isinstance(command, RequestWorkflow) and command.client_request_id is None:
        return f"{told}: look there before you ask again, as that would be a second workflow."
    return f"{told}: it is safe to ask again."


def _last(history: History, *kinds: type[Event]) -> Recorded[Event]:
    """The latest event of these kinds."""
    return next(recorded for recorded in reversed(history.recorded) if isinstance(recorded.event, kinds))
