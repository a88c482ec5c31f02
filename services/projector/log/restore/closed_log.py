"""The stream that is the log, in set-up's hands: closed to everybody else, taken away, filled, and opened again.

Whatever is cut short here, the log stays closed until a restore has ended: set-up leaves a closed one as it is, and
makes one that was taken away anew as a closed one, under its old id.
"""

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from chassis.connection import Connection, NoAnswer
from chassis.event_store import StoreUnavailable
from chassis.jetstream_log import EPOCH, RESTORING, TIMEOUT_S, Entry, JetStreamLog, LogState, is_closed
from chassis.jetstream_store import NO_RESOURCES, STORE_FAILED, STREAM
from chassis.settings import Settings
from chassis.setup import reconcile
from chassis.topology import closed_stream, stream
from contracts.services import STAGES
from contracts.subjects import WorkflowKey, restoring, whose

AT_ONCE = 64
"""Requests under way at the same time. More were no faster."""

NOT_FOUND = 404
NO_MESSAGE = 10037

OWN_TO_CLOSED = ("subject_transform", "duplicate_window")
MADE_BY_SERVER = ("metadata",)

Json = dict[str, Any]


class Refused(Exception):
    """JetStream does not do what the restore needs. The log is as it was before that step."""


class NotAsSent(Exception):
    """The log did not store an event where it was meant to stand: it holds something else there, or has it already."""


class ClosedLog:
    """The log, for whoever restores it."""

    def __init__(self, nats: Connection, settings: Settings) -> None:
        self._nats, self._settings = nats, settings
        self._size = {"bytes_max": settings.log_bytes_max, "replicas": settings.log_replicas}

    # ------------------------------------------------------------ its door

    async def close(self) -> None:
        """Closes the log to everybody else; makes it, closed, where it is missing."""
        config = await self._config()
        if config is None:
            await self._note(b"1")
            await self._do("STREAM.CREATE", closed_stream(**self._size))
        elif not is_closed(config):
            closed = {**config, **closed_stream(**self._size)}
            del closed["republish"]
            await self._do("STREAM.UPDATE", closed)

    async def make_anew(self) -> None:
        """Takes the closed log away, and makes an empty one that is closed as well."""
        config = await self._config()
        await self._note(b"1")
        await self._do("STREAM.DELETE", {})
        wanted = {**(config or {}), **closed_stream(**self._size)}
        await self._do("STREAM.CREATE", {name: wanted[name] for name in wanted if name not in MADE_BY_SERVER})

    async def open(self) -> None:
        """Opens the log as it is declared, with consumers for the stages that have everything delivered anew.

        What is done already is then delivered once more, and acknowledged by whoever reads the history.
        """
        config = await self._config()
        for stage in STAGES:
            told = await self._call(f"CONSUMER.DELETE.{STREAM}.{stage}", {})
            _raise_refusal({} if _is_missing(told) else told, f"remove the consumer {stage}")
        await self._note(b"")
        kept = {name: value for name, value in (config or {}).items() if name not in OWN_TO_CLOSED}
        await self._do("STREAM.UPDATE", {**kept, **stream(**self._size)})
        await reconcile(self._nats, self._settings)

    async def give_epoch(self, epoch: str) -> None:
        """Gives the closed log the id of the one that it becomes."""
        _raise_refusal(await self._told(EPOCH, epoch.encode()), "take the log's id")

    async def _note(self, text: bytes) -> None:
        """Says that the log is about to be taken away, or with an empty text that it is there again."""
        _raise_refusal(await self._told(RESTORING, text), "note that the log is restored")

    # ------------------------------------------------------------ what it holds

    async def state(self) -> LogState:
        """How far it reaches."""
        return await JetStreamLog(self._nats).state()

    async def read(self, after: int, most: int) -> list[Entry]:
        """The entries at the `most` positions behind this one, one request each: a closed log gives no batches."""
        found: list[Entry] = []
        for first in range(after + 1, after + most + 1, AT_ONCE):
            positions = range(first, min(first + AT_ONCE, after + most + 1))
            found += [one for one in await asyncio.gather(*map(self._entry, positions)) if one is not None]
        return found

    async def _entry(self, position: int) -> Entry | None:
        told = await self._call(f"STREAM.MSG.GET.{STREAM}", {"seq": position})
        if told.get("error", {}).get("err_code") == NO_MESSAGE:
            return None
        _raise_refusal(told, f"give event {position}")
        message = told["message"]
        headers = _headers(base64.b64decode(message.get("hdrs", "")))
        return Entry(int(message["seq"]), message["subject"], headers, base64.b64decode(message.get("data", "")))

    async def append(self, entries: Sequence[Entry]) -> None:
        """Appends these entries, byte for byte. Raises NotAsSent unless each then stands at its position.

        No fence of our own goes with them: JetStream would store it. Nobody else can write, each subject is taken once,
        and all of it is read again and compared before the log is opened.
        """
        for some in side_by_side(entries):
            await asyncio.gather(*map(self._append, some))

    async def _append(self, entry: Entry) -> None:
        told = await self._told(restoring(entry.subject), entry.body, dict(entry.headers) or None)
        code = told.get("error", {}).get("err_code")
        why = told.get("error", {}).get("description", "")
        if code in NO_RESOURCES or (code == STORE_FAILED and "subject" not in why):
            raise Refused(f"the log takes no more: {why}. Raise PRESSROOM_LOG_BYTES_MAX, and begin again")
        if told.get("seq") != entry.position or told.get("duplicate"):
            raise NotAsSent(f"event {entry.position:,} was not stored there: {why or told}")

    # ------------------------------------------------------------ JetStream's API

    async def _config(self) -> Json | None:
        told = await self._call(f"STREAM.INFO.{STREAM}", {})
        if _is_missing(told):
            return None
        _raise_refusal(told, "tell how the log stands")
        return told["config"]

    async def _do(self, verb: str, request: Mapping[str, Any]) -> None:
        _raise_refusal(await self._call(f"{verb}.{STREAM}", request), f"answer {verb} of the log")

    async def _call(self, name: str, request: Mapping[str, Any]) -> Json:
        return await self._told(f"$JS.API.{name}", json.dumps(request).encode())

    async def _told(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> Json:
        try:
            answer = await self._nats.ask(subject, payload, headers=headers, timeout_s=TIMEOUT_S)
        except NoAnswer as silent:
            raise StoreUnavailable(str(silent)) from silent
        return cast(Json, json.loads(answer.data))


def side_by_side(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """The entries in order, as many at once as may be under way together: of a workflow never two.

    Their own fences go with them, and several copies hold each against what is stored already, not what is on its way.
    """
    some: dict[WorkflowKey, Entry] = {}
    for entry in entries:
        key = whose(entry.subject)
        if key in some or len(some) == AT_ONCE:
            yield list(some.values())
            some = {}
        some[key] = entry
    if some:
        yield list(some.values())


def _headers(block: bytes) -> dict[str, str]:
    """A message's headers, as the NATS client reads them."""
    headers: dict[str, str] = {}
    for line in block.split(b"\r\n")[1:]:
        name, is_header, value = line.partition(b":")
        if is_header and name.isascii():
            headers[name.strip().decode()] = value.strip().decode(errors="replace")
    return headers


def _is_missing(answer: Mapping[str, Any]) -> bool:
    return answer.get("error", {}).get("code") == NOT_FOUND


def _raise_refusal(answer: Mapping[str, Any], what: str) -> None:
    refusal = cast(Json | None, answer.get("error"))
    if refusal:
        raise Refused(f"JetStream does not {what}: {refusal.get('description')}")
