"""The set-up step: brings the NATS server to the declared topology, and says clearly where that cannot be done.

python -m chassis.setup       safe to repeat; run it before the services start
"""

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Mapping
from typing import Any, cast

from chassis.connection import Connection, NoAnswer
from chassis.event_store import NotAllowed
from chassis.jetstream_log import BUCKET, EPOCH, RESTORING, is_closed
from chassis.jetstream_store import STREAM, WRITE_IN_FLIGHT, WRONG_LAST_SEQUENCE
from chassis.settings import Settings, load_settings
from chassis.telemetry import set_up_logs
from chassis.topology import SET_UP, bucket, closed_stream, consumer, consumer_create, stream
from contracts.services import STAGES

NOT_FOUND = 404
TIMEOUT_S = 10.0

PATIENCE_S, TRY_AGAIN_S, SILENCE_S = 40.0, 0.2, 1.5
"""For servers of a cluster that have yet to agree who leads: usual is 1 to 3 s, a server that is away makes it 10 s.
What is asked while nobody leads is lost: so silence is waited for no longer than that, and all that set-up asks for is
safe to ask for again."""

NOT_READY = (10004, 10005, 10008, 10009, 10118, 10119, WRITE_IN_FLIGHT)
"""JetStream's codes for it: the cluster or the stream has no leader at the moment, or lacks servers; or
another set-up writes the very same, and it is soon known whether it was first."""

UNDER_WAY_S, LOOK_AGAIN_S = 2.0, 0.1
"""Another set-up makes the log right after its id, within milliseconds on one server. Later it has crashed."""


class TopologyConflict(Exception):
    """The server holds something that cannot be changed into what is declared without losing data."""


async def reconcile(connection: Connection, settings: Settings) -> list[str]:
    """Creates or updates the stream and the stages' consumers. -> what was done, a line each.

    Raises TopologyConflict for a change that JetStream cannot make in place.
    """
    done = [
        await _reconcile_stream(connection, bucket(replicas=settings.log_replicas)),
        await _reconcile_epoch(connection),
        await _reconcile_log(connection, settings),
    ]
    for stage in STAGES:
        done.append(await _reconcile_consumer(connection, consumer(stage, ack_wait_s=settings.ack_wait_s)))
    return [line for line in done if line]


async def _reconcile_log(connection: Connection, settings: Settings) -> str:
    """A log that is being restored stays closed, also where that was broken off: half a log is worse than none."""
    size = {"bytes_max": settings.log_bytes_max, "replicas": settings.log_replicas}
    found = await _call(connection, f"STREAM.INFO.{STREAM}", {})
    if _is_missing(found) and await is_being_restored(connection):
        await _reconcile_stream(connection, closed_stream(**size))
    elif _is_missing(found) or not is_closed(found["config"]):
        return await _reconcile_stream(connection, stream(**size))
    return "the log stays closed until it is restored: `./run log restore --yes`"


async def is_being_restored(connection: Connection) -> bool:
    """Is the log taken away to be made anew under its old id?"""
    found = await _call(connection, f"STREAM.MSG.GET.{BUCKET}", {"last_by_subj": RESTORING})
    return not _is_missing(found) and bool(found.get("message", {}).get("data"))


async def _reconcile_stream(connection: Connection, wanted: Mapping[str, Any]) -> str:
    name = wanted["name"]
    found = await _call(connection, f"STREAM.INFO.{name}", {})
    if _is_missing(found):
        _raise_refusal(await _call(connection, f"STREAM.CREATE.{name}", wanted), f"create the stream {name}")
        return f"created the stream {name}"
    differences = _differences(wanted, found["config"])
    if not differences:
        return ""
    what = f"change the stream {name} ({'; '.join(differences)})"
    _raise_refusal(await _call(connection, f"STREAM.UPDATE.{name}", {**found["config"], **wanted}), what)
    return f"changed the stream {name}: {'; '.join(differences)}"


async def _reconcile_epoch(connection: Connection) -> str:
    """Gives a log that is about to be made, or that has none, an id of its own: what was built from another log then
    knows that this is not the one. Before the log is made, so that a crash in between never leaves an old id to it.
    Of several set-ups at once one gives the id, and the others take it.
    """
    found = await _call(connection, f"STREAM.MSG.GET.{BUCKET}", {"last_by_subj": EPOCH})
    if _is_missing(found):
        return await _give_epoch(connection, last=0)
    _raise_refusal(found, "tell the log's id")
    if await is_being_restored(connection) or await _log_stands(connection):
        return ""
    return await _give_epoch(connection, last=found["message"]["seq"])


async def _give_epoch(connection: Connection, *, last: int) -> str:
    """`last`: the sequence of the id that was found, 0 where there was none. Only behind that one is it written."""
    epoch, fence = str(uuid.uuid4()), {"Nats-Expected-Last-Subject-Sequence": str(last)}
    told = await _ask(connection, EPOCH, epoch.encode(), headers=fence)
    if told.get("error", {}).get("err_code") == WRONG_LAST_SEQUENCE:
        return ""  # another set-up was first: its id is the log's
    _raise_refusal(told, "take the log's id")
    return f"the log's id is {epoch}"


async def _log_stands(connection: Connection) -> bool:
    """Is there a log to the id that was found? One that another set-up is about to make is waited for."""
    for _ in range(round(UNDER_WAY_S / LOOK_AGAIN_S)):
        if not _is_missing(await _call(connection, f"STREAM.INFO.{STREAM}", {})):
            return True
        await asyncio.sleep(LOOK_AGAIN_S)
    return False


async def _reconcile_consumer(connection: Connection, wanted: Mapping[str, Any]) -> str:
    name = wanted["name"]
    found = await _call(connection, f"CONSUMER.INFO.{STREAM}.{name}", {})
    differences = [] if _is_missing(found) else _differences(wanted, found["config"])
    if not _is_missing(found) and not differences:
        return ""
    verb = "create" if _is_missing(found) else "change"
    what = f"{verb} the consumer {name}" + (f" ({'; '.join(differences)})" if differences else "")
    request = {"stream_name": STREAM, "config": wanted}
    _raise_refusal(await _ask(connection, consumer_create(name), json.dumps(request).encode()), what)
    return f"{verb}d the consumer {name}"


async def _call(connection: Connection, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
    return await _ask(connection, f"$JS.API.{name}", json.dumps(request).encode())


async def _ask(
    connection: Connection, subject: str, payload: bytes, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """What JetStream answers, once a cluster is ready to answer. Raises NoAnswer, NotAllowed."""
    until, timeout_s = time.monotonic() + PATIENCE_S, SILENCE_S if connection.has_cluster else TIMEOUT_S
    while True:
        is_last = time.monotonic() > until
        try:
            answer = await connection.ask(subject, payload, headers=headers, timeout_s=timeout_s)
        except NoAnswer:
            if is_last or not connection.has_cluster:
                raise
        else:
            told = cast(dict[str, Any], json.loads(answer.data))
            if is_last or told.get("error", {}).get("err_code") not in NOT_READY:
                return told
        await asyncio.sleep(TRY_AGAIN_S)


def _is_missing(answer: Mapping[str, Any]) -> bool:
    return answer.get("error", {}).get("code") == NOT_FOUND


def _differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Where what is found is not what is wanted, in words."""
    return [
        f"{name} is {json.dumps(found.get(name))}, wanted {json.dumps(value)}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]


def _raise_refusal(answer: Mapping[str, Any], what: str) -> None:
    refusal = cast(dict[str, Any] | None, answer.get("error"))
    if refusal:
        raise TopologyConflict(
            f"JetStream does not {what} in place: {refusal.get('description')}. "
            "Nothing was changed. Put the setting back, or move the events to a new log."
        )


async def _set_up(settings: Settings) -> list[str]:
    password = settings.nats_password.get_secret_value()
    connection = await Connection.open(
        settings.nats_url, user=settings.nats_user or SET_UP, password=password, name=SET_UP
    )
    try:
        return await reconcile(connection, settings)
    finally:
        await connection.close()


def main() -> None:
    """Reconciles once. Exit code 0: the topology is as declared."""
    settings = load_settings()
    set_up_logs(SET_UP, settings.log_level, settings.log_format)
    try:
        for line in asyncio.run(_set_up(settings)):
            print(line)  # noqa: T201
    except (TopologyConflict, NotAllowed, NoAnswer) as wrong:
        print(f"Set-up stopped: {wrong}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
