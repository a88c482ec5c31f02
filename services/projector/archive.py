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

OF_POSITIONS = "SELECT position, sha256 FROM archive.events WHERE epoch = $1 AND position BETWEEN $2 AND $3"
AT_POSITIONS = "SELECT position, sha256 FROM archive.events WHERE epoch = $1 AND position = ANY($2::bigint[])"


class LogInDoubt(Exception):
    """The log is not the one that the tables were built from, or has lost events. Nothing is written until it is."""


def digest(entry: Entry) -> bytes:
    """The SHA-256 of a message: its subject and headers as JSON, a zero byte, its body."""
    told = json.dumps([entry.subject, dict(entry.headers)], sort_keys=True)
    return hashlib.sha256(told.encode() + b"\0" + entry.body).digest()


async def keep(connection: "Connection", epoch: str, entries: Sequence[Entry]) -> None:
    """Adds these messages, in the transaction that is open; those that are there already have to be the same.

    Raises LogInDoubt for one that is not: tables that were thrown away are made anew from the log that was archived.
    """
    kept = await end(connection, epoch)
    await _compare(connection, epoch, [entry for entry in entries if entry.position <= kept])
    records = [
        (epoch, entry.position, storable(entry.subject), _headers(entry), entry.body, digest(entry))
        for entry in entries
        if entry.position > kept
    ]
    await connection.copy_records_to_table("events", schema_name="archive", columns=COLUMNS, records=records)


async def digest_at(connection: "Connection", epoch: str, position: int) -> bytes | None:
    """The hash of the message that was archived at this position of that log; None where there is none."""
    return (await digests(connection, epoch, position, position)).get(position)


async def end(connection: "Connection", epoch: str) -> int:
    """The last position of that log that was archived; 0 without any."""
    return await connection.fetchval("SELECT coalesce(max(position), 0) FROM archive.events WHERE epoch = $1", epoch)


async def refuse_unlike(connection: "Connection", epoch: str, entries: Sequence[Entry]) -> None:
    """Raises LogInDoubt unless each of these messages, from anywhere in the log, is the one that was archived.

    What stands behind the end of the archive is not archived yet, and left alone.
    """
    positions = [entry.position for entry in entries]
    found = await connection.fetch(AT_POSITIONS, epoch, positions)
    archived = {row["position"]: row["sha256"] for row in found}
    for entry in entries:
        if archived.get(entry.position, digest(entry)) != digest(entry):
            raise LogInDoubt(f"the log's event {entry.position} is not the one that was archived")


async def _compare(connection: "Connection", epoch: str, entries: Sequence[Entry]) -> None:
    if entries:
        archived = await digests(connection, epoch, entries[0].position, entries[-1].position)
        for entry in entries:
            if archived.get(entry.position) != digest(entry):
                raise LogInDoubt(f"the log's event {entry.position} is not the one that was archived")


async def digests(connection: "Connection", epoch: str, first: int, last: int) -> dict[int, bytes]:
    """The hashes of what was archived of that log from one position to another, both included."""
    return {row["position"]: row["sha256"] for row in await connection.fetch(OF_POSITIONS, epoch, first, last)}


def _headers(entry: Entry) -> str:
    return json.dumps(dict(entry.headers), sort_keys=True)
