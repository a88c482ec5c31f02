"""The event store on JetStream: histories by direct get, appends under one fence.

The fence is `Nats-Expected-Last-Subject-Sequence` on the workflow's whole history, with the same filter from every
writer: mixed filters broke it in 397 of 400 races on three replicas, equal ones in none. No message id is used: its
window of deduplication was seen to swallow fenced events. A writer knows its own event again by its `ce-id`.
"""

import asyncio
import json
import time
from typing import Any, cast

from nats.aio.msg import Msg

from chassis.connection import STATUS, Connection, NoAnswer, NobodyThere
from chassis.event_store import (
    Clock,
    Conflict,
    History,
    HistoryShort,
    LogFull,
    OutcomeUnknown,
    StoreUnavailable,
    as_history,
    check_size,
    utc_now,
)
from contracts.envelope import Recorded, decode, encode
from contracts.events import Event
from contracts.subjects import EventSubject, WorkflowKey
from contracts.subjects import history as history_subject

STREAM = "WORKFLOW"
DIRECT_GET = f"$JS.API.DIRECT.GET.{STREAM}"

READ_TIMEOUT_S = 3.0
APPEND_TIMEOUT_S = 12.0
"""A leader that is killed among three replicas stalls publishing for up to 8 s."""

READ_TRY_S, APPEND_TRY_S = 1.4, 3.0
"""Of these, for one try where there is a cluster."""

NOBODY_PAUSE_S = 0.1
"""Between two tries."""

LAG_PAUSES_S = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Between reads of a replica that lags."""

WRONG_LAST_SEQUENCE, WRITE_IN_FLIGHT, STORE_FAILED = 10071, 10164, 10077
NO_RESOURCES = (10023, 10047)


class JetStreamStore:
    """The log, for one service."""

    def __init__(self, connection: Connection, service: str, *, clock: Clock = utc_now) -> None:
        self._connection, self._service, self._clock = connection, service, clock

    async def read(self, key: WorkflowKey, *, reach: int = 0) -> History:
        """See EventStore.read."""
        for pause in (*LAG_PAUSES_S, None):
            history = await self._read_once(key)
            if history.revision >= reach:
                return history
            if pause is not None:
                await asyncio.sleep(pause)
        self._connection.unserved()  # a copy of a cluster may lag for half a minute, and another one is whole
        raise HistoryShort(f"the log answers with a history that lacks revision {reach}, which it had stored")

    async def append(self, history: History, event: Event, *, id: str, cause: str | None = None) -> Recorded[Event]:
        """See EventStore.append."""
        subject = str(EventSubject(history.key, self._service, event.type, history.revision + 1))
        recorded_at = self._clock()
        headers, body = encode(event, id=id, service=self._service, recorded_at=recorded_at, cause=cause)
        check_size(event, body)
        fence = {
            "Nats-Expected-Last-Subject-Sequence": str(history.position),
            "Nats-Expected-Last-Subject-Sequence-Subject": history_subject(history.key),
        }
        answer = await self._ask(subject, body, headers | fence)
        return decode(subject, headers, body, position=_position(answer))

    async def _ask(self, subject: str, body: bytes, headers: dict[str, str]) -> Msg:
        """The answer to an append. Raises StoreUnavailable (it had no effect), OutcomeUnknown, NotAllowed.

        A cluster that lost its leader soon has another, and what was sent to the old one is gone: so the event is sent
        again. The fence lets it in once; where an earlier try was stored the next one is a conflict, behind which the
        writer finds its own event. A server that is alone is away for as long as it takes: that is told at once.
        """
        until, is_doubtful = time.monotonic() + APPEND_TIMEOUT_S, False
        while True:
            try:
                return await self._connection.ask(
                    subject, body, headers=headers, timeout_s=self._patience_s(until, APPEND_TRY_S)
                )
            except NoAnswer as silent:
                is_doubtful |= not isinstance(silent, NobodyThere)
                if not self._may_try_again(until):
                    raise (OutcomeUnknown if is_doubtful else StoreUnavailable)(str(silent)) from silent
                await asyncio.sleep(NOBODY_PAUSE_S)

    def _patience_s(self, until: float, one_try_s: float) -> float:
        """How long this try may take: in a cluster it may be lost with a server that died, and is made again."""
        left_s = max(0.0, until - time.monotonic())
        return min(left_s, one_try_s) if self._connection.has_cluster else left_s

    def _may_try_again(self, until: float) -> bool:
        return self._connection.has_cluster and time.monotonic() + NOBODY_PAUSE_S < until

    async def _read_once(self, key: WorkflowKey) -> History:
        wanted = {"multi_last": [history_subject(key)]}  # each subject is written once, so these are all
        *found, end = await self._ask_all(json.dumps(wanted).encode())
        status = (end.headers or {}).get(STATUS)
        if status not in ("204", "404"):
            raise StoreUnavailable(f"the log answered {status} {(end.headers or {}).get('Description', '')}")
        return as_history(key, [_recorded(message) for message in found])

    async def _ask_all(self, wanted: bytes) -> list[Msg]:
        """The answers to a read. In a cluster another server is asked where the first one died meanwhile."""
        until = time.monotonic() + READ_TIMEOUT_S
        while True:
            try:
                return await self._connection.ask_all(
                    DIRECT_GET, wanted, until=_is_status, timeout_s=self._patience_s(until, READ_TRY_S)
                )
            except NoAnswer as silent:
                if not self._may_try_again(until):
                    raise StoreUnavailable(str(silent)) from silent
                await asyncio.sleep(NOBODY_PAUSE_S)


def _is_status(message: Msg) -> bool:
    return bool(message.headers and message.headers.get(STATUS))


def _recorded(message: Msg) -> Recorded[Event]:
    headers = message.headers or {}
    return decode(headers["Nats-Subject"], headers, message.data, position=int(headers["Nats-Sequence"]))


def _position(answer: Msg) -> int:
    """Where the event was stored. Raises what the server's refusal means."""
    told = cast(dict[str, Any], json.loads(answer.data))
    refusal = cast(dict[str, Any] | None, told.get("error"))
    if refusal is None:
        return int(told["seq"])
    code, why = refusal.get("err_code"), str(refusal.get("description", ""))
    if code == WRONG_LAST_SEQUENCE:
        raise Conflict(why)
    if code == WRITE_IN_FLIGHT:
        raise OutcomeUnknown(why)
    if code == STORE_FAILED and "subject" in why:  # the subject was written already: somebody was first
        raise Conflict(why)
    if code == STORE_FAILED or code in NO_RESOURCES:
        raise LogFull(f"the log is full: {why}")
    raise StoreUnavailable(f"the log refused the event: {code} {why}")
