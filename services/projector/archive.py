"""The archive: a second copy of every message of the log, and the means to tell whether the log is still the same."""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chassis.jetstream_log import Entry
from contracts.subjects import storable

if TYPE_CHECKING:
    from chassis.database import Connection

COLUMNS = ("epoch", "position", "subject", "headers", "body", "sha256")


def digest(entry: Entry) -> bytes:
    """The SHA-256 of a message: its subject and headers as JSON, a zero byte, its body."""
    told = json.dumps([entry.subject, dict(entry.headers)], sort_keys=True)
    return hashlib.sha256(told.encode() + b"\0" + entry.body).digest()


async def keep(connection: "Connection", epoch: str, entries: Sequence[Entry]) -> None:
    """Adds these messages, in the transaction that is open."""
    records = [
        (epoch, entry.position, storable(entry.subject), _headers(entry), entry.body, digest(entry))
        for entry in entries
    ]
    await connection.copy_records_to_table("events", schema_name="archive", columns=COLUMNS, records=records)


async def digest_at(connection: "Connection", epoch: str, position: int) -> bytes | None:
    """The hash of the message that was archived at this position of that log; None where there is none."""
    return await connection.fetchval(
        "SELECT sha256 FROM archive.events WHERE epoch = $1 AND position = $2", epoch, position
    )


async def end(connection: "Connection", epoch: str) -> int:
    """The last position of that log that was archived; 0 without any."""
    return await connection.fetchval("SELECT coalesce(max(position), 0) FROM archive.events WHERE epoch = $1", epoch)


def _headers(entry: Entry) -> str:
    return json.dumps(dict(entry.headers), sort_keys=True)
