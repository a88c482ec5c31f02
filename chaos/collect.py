"""Collecting: everything that the checker reads, written into the run directory once the run has come to rest."""

import asyncio
import base64
import hashlib
import io
import json
import shutil
import time
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import asyncpg
import urllib3
from minio.error import MinioException
from PIL import Image, UnidentifiedImageError

from chaos.clients import read
from chaos.ground import KEY, PROMPT, Ground
from chaos.resources import note_at_rest
from chassis.connection import Connection
from chassis.event_store import StoreUnavailable
from chassis.jetstream_log import Entry, JetStreamLog, LogState
from chassis.log_copies import log_copies
from chassis.standing import ConsumerMissing, stage_standing
from chassis.topology import CLUSTER
from contracts.services import STAGES
from local.s3 import BUCKET, S3, client
from services.projector.archive import digest

CHECKPOINT = "SELECT generation, epoch, position, applied, held FROM read.checkpoint"
VIEWS = ("workflows", "blog_posts", "social_media_posts", "images", "sources")
TEXTS = ("/health/live", "/health/ready", "/metrics", "/status", "/openapi.json")
"""What is read of the gateway in the end, to look for what may not be told."""

TIMEOUT_S = 10.0
PATIENCE_S, PAUSE_S = 30.0, 0.5

AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


async def collect(ground: Ground) -> None:
    """Writes every file that can only be written now. Raises StoreUnavailable where the log does not answer."""
    await collect_from_nats(ground)
    await collect_tables(ground)
    await collect_calls(ground)
    await asyncio.to_thread(collect_objects, ground)
    for path in TEXTS:
        await read(ground, path)
    await note_at_rest(ground, "after")
    ground.records.whole("canaries.json", {"key": KEY, "prompt": PROMPT})
    copy_logs(ground)


async def collect_from_nats(ground: Ground) -> None:
    """The log and its consumers. A cluster that was just healed may have to choose its leaders once more."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            async with ground.connection() as connection:
                await collect_log(ground, connection)
                await collect_consumers(ground, connection)
        except StoreUnavailable:
            if time.monotonic() > give_up_at:
                raise
        else:
            return
        await asyncio.sleep(PAUSE_S)


async def collect_log(ground: Ground, connection: Connection) -> None:
    """Every message, in order, and where the log begins and ends; of several servers also as each of them has it."""
    log = JetStreamLog(connection)
    state, epoch = await log.state(), await log.epoch()
    ground.records.lines("log.jsonl", [as_line(entry) for entry in await entries_of(log)])
    told: dict[str, Any] = {"epoch": epoch, "first": state.first, "last": state.last, "count": state.count}
    if ground.plan.nodes > 1:
        told |= await collect_replicas(ground, log, state)
    ground.records.whole("log-state.json", told)


async def collect_replicas(ground: Ground, log: JetStreamLog, state: LogState) -> dict[str, Any]:
    """The log as each server itself has it. -> how far that reaches, by node, and which log it is"""
    copies = {f"{CLUSTER}-{number}": list[Entry]() for number in ground.nodes()}
    async with log_copies(log.connection, state) as reader:
        after = 0
        while after < state.last:
            stretch = await reader.read(after, state.last)
            for server, entries in stretch.copies.items():
                copies[server] += entries
            after = stretch.upto
        for server, upto in reader.away.items():
            ground.records.say(f"the copy of the log on {server} could not be read behind position {upto}")
    return {
        f"node {number}": await collect_replica(ground, number, entries)
        for number, entries in zip(ground.nodes(), copies.values(), strict=True)
    }


async def collect_replica(ground: Ground, number: int, entries: list[Entry]) -> dict[str, Any]:
    """What one server has. The log's id is asked of it, and may be another's answer."""
    async with ground.connection(node=number) as connection:
        epoch = await JetStreamLog(connection).epoch()
    ground.records.lines(f"log-{number}.jsonl", [as_line(entry) for entry in entries])
    first, last = (entries[0].position, entries[-1].position) if entries else (0, 0)
    return {"epoch": epoch, "first": first, "last": last, "count": len(entries)}


async def entries_of(log: JetStreamLog) -> list[Entry]:
    """All of it."""
    entries, after = list[Entry](), 0
    while batch := await log.read(after):
        entries += batch
        after = batch[-1].position
    return entries


def as_line(entry: Entry) -> dict[str, Any]:
    """One message of the log."""
    return {
        "position": entry.position,
        "subject": entry.subject,
        "headers": dict(entry.headers),
        "body": base64.b64encode(entry.body).decode(),
        "sha256": digest(entry).hex(),
    }


async def collect_consumers(ground: Ground, connection: Connection) -> None:
    """What waits, and what is in somebody's hands."""
    told: dict[str, Any] = {}
    for stage in STAGES:
        try:
            standing = await stage_standing(connection, stage, timeout_s=TIMEOUT_S)
        except ConsumerMissing as missing:
            told[stage] = {"error": str(missing)}
        else:
            told[stage] = {
                "pending": standing.waiting,
                "ack_pending": standing.in_hand,
                "redelivered": standing.redelivered,
            }
    ground.records.whole("consumers.json", told)


async def collect_tables(ground: Ground) -> None:
    """The archive of this log, what readers see, and the projector's books."""
    database = await ground.database()
    try:
        checkpoint = await database.fetchrow(CHECKPOINT)
        told = dict(checkpoint) if checkpoint else {}
        for name, table in (("archive", "archive.events"), ("set-aside", "archive.set_aside")):
            rows = await database.fetch(
                f"SELECT position, subject, headers, body, sha256 FROM {table} WHERE epoch = $1 ORDER BY position",  # noqa: S608 - ours
                told.get("epoch", ""),
            )
            ground.records.lines(f"{name}.jsonl", [archived_line(row) for row in rows])
        tables = {view: plain(await database.fetch(f"SELECT * FROM read.{view}")) for view in VIEWS}  # noqa: S608 - ours
        ground.records.whole("tables.json", tables)
        ground.records.whole("checkpoint.json", told)
        ground.records.whole("quarantine.json", plain(await database.fetch("SELECT * FROM read.quarantine")))
    finally:
        await database.close()


def archived_line(row: "asyncpg.Record") -> dict[str, Any]:
    """One archived message."""
    return {
        "position": row["position"],
        "subject": row["subject"],
        "headers": json.loads(row["headers"]),
        "body": base64.b64encode(row["body"]).decode(),
        "sha256": row["sha256"].hex(),
    }


def plain(rows: "Iterable[asyncpg.Record]") -> list[dict[str, Any]]:
    """Rows as JSON takes them."""
    return [{name: as_json(value) for name, value in row.items()} for row in rows]


def as_json(value: Any) -> Any:
    """A value of Postgres as JSON takes it; times as ISO texts, numbers with decimals as texts."""
    match value:
        case datetime():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case list():
            return [as_json(one) for one in cast(list[Any], value)]
        case _:
            return value


async def collect_calls(ground: Ground) -> None:
    """The model's own list of calls."""
    lines = [
        {
            "number": call.number,
            "kind": call.kind,
            "topic": call.topic,
            "platform": call.platform,
            "model": call.model,
            "began_at": call.started_at,
            "ended_at": call.ended_at,
            "outcome": call.outcome,
            "status": status_of(call.outcome),
            "retry_after": call.retry_after,
            "code": call.code,
            "call": call.client_request_id,
            "question": call.question,
            "is_spoilt": call.is_spoilt,
        }
        for call in await ground.standin.calls()
    ]
    ground.records.lines("calls.jsonl", lines)


def status_of(outcome: str | None) -> int | None:
    """The HTTP status that an outcome stands for; None where the answer broke off or never came."""
    if outcome == "answered":
        return 200
    if outcome and outcome.startswith("failed:"):
        return int(outcome.removeprefix("failed:"))
    return None


def collect_objects(ground: Ground) -> None:
    """Every object, measured by its bytes."""
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=20))
    store = client(S3(ground.data).access, pool)
    lines: list[dict[str, Any]] = []
    try:
        for listed in store.list_objects(bucket_name=BUCKET, recursive=True):
            response = store.get_object(bucket_name=BUCKET, object_name=str(listed.object_name))
            try:
                told = response.headers.get("Content-Type", "")
                lines.append({"key": listed.object_name, "content_type": told, **measured(response.read())})
            finally:
                response.close()
                response.release_conn()
    except MinioException as wrong:
        ground.records.say(f"the objects could not be listed: {wrong}")
    finally:
        pool.clear()
    ground.records.lines("objects.jsonl", lines)


def measured(data: bytes) -> dict[str, Any]:
    """What the bytes themselves say."""
    width = height = None
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
    except (UnidentifiedImageError, OSError):  # a pointer is no picture
        pass
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "width": width, "height": height}


async def sample_checkpoints(ground: Ground) -> None:
    """About once a second, how far the read tables are; until it is cancelled."""
    database: asyncpg.Connection[asyncpg.Record] | None = None
    while True:
        try:
            database = database or await ground.database()
            row = await database.fetchrow(CHECKPOINT)
            if row:
                told = {name: row[name] for name in ("generation", "epoch", "position")}
                ground.records.write("checkpoints", **told)
        except AWAY:
            database = None
        await asyncio.sleep(1)


def copy_logs(ground: Ground) -> None:
    """Every log file, as it is."""
    shutil.copytree(ground.data.logs, ground.records.folder / "logs", dirs_exist_ok=True)
