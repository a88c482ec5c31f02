"""The envelope: an event as it stands in the log, and how it is written there and read again.

Headers carry CloudEvents' names (https://github.com/cloudevents/spec); the body is the event alone, as JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar, cast

from pydantic import ValidationError

from contracts.events import EVENT_TYPES, MOMENT_MAX, MOMENT_MIN, UNSTORABLE, Event
from contracts.subjects import BadToken, EventSubject, WorkflowKey, parse
from contracts.upcasters import upcast

E_co = TypeVar("E_co", bound=Event, covariant=True)

ID, TYPE, TIME, SOURCE, CAUSE, TRACE = "ce-id", "ce-type", "ce-time", "ce-source", "ce-causationid", "traceparent"

ID_LENGTH_MAX = 200
"""Characters of an event's id: Pressroom's own have 36, and a unique index holds them."""


class UnreadableEvent(Exception):
    """This event cannot be read by this code."""


class FromTheFuture(UnreadableEvent):
    """The event's type or version is newer than this code; newer code reads it."""


class Malformed(UnreadableEvent):
    """The event is not what its subject says; no code can read it."""


@dataclass(frozen=True, kw_only=True)
class Recorded(Generic[E_co]):
    """An event in the log. `id` is made once per decision; `cause` is the id of the event that was reacted to.

    `position` is its place in the log, `revision` its place in the workflow's history; `recorded_at` is the writer's
    clock (the store's own timestamp would change with a restore).
    """

    event: E_co
    id: str
    key: WorkflowKey
    service: str
    revision: int
    position: int
    recorded_at: datetime
    cause: str | None = None
    traceparent: str | None = None


def encode(
    event: Event,
    *,
    id: str,
    service: str,
    recorded_at: datetime,
    cause: str | None = None,
    traceparent: str | None = None,
) -> tuple[dict[str, str], bytes]:
    """The headers and the body under which an event is appended."""
    headers = {
        "ce-specversion": "1.0",
        "content-type": "application/json",
        ID: id,
        TYPE: event.type,
        TIME: recorded_at.isoformat(),
        SOURCE: f"/pressroom/{service}",
        CAUSE: cause,
        TRACE: traceparent,
    }
    return {name: value for name, value in headers.items() if value is not None}, event.model_dump_json().encode()


def decode(subject: str, headers: Mapping[str, str], body: bytes, *, position: int) -> Recorded[Event]:
    """The recorded event. Raises FromTheFuture or Malformed."""
    try:
        where = parse(subject)
        recorded_at, event_id = _moment(headers[TIME]), _id(headers[ID])
    except KeyError as wrong:
        raise Malformed(f"position {position}: the header {wrong} is missing") from wrong
    except (BadToken, ValueError) as wrong:
        raise Malformed(f"position {position}: {wrong}") from wrong
    return Recorded(
        event=_decode_event(where, body, position),
        id=event_id,
        key=where.key,
        service=where.service,
        revision=where.revision,
        position=position,
        recorded_at=recorded_at,
        cause=headers.get(CAUSE),
        traceparent=headers.get(TRACE),
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{TIME} names no zone")
    if not MOMENT_MIN <= moment <= MOMENT_MAX:
        raise ValueError(f"{TIME} lies outside the years {MOMENT_MIN.year} to {MOMENT_MAX.year}")
    return moment.astimezone(UTC)


def _id(text: str) -> str:
    if not 1 <= len(text) <= ID_LENGTH_MAX or UNSTORABLE.search(text):
        raise ValueError(f"{ID} is not 1 to {ID_LENGTH_MAX} characters that can be stored")
    return text


def _decode_event(where: EventSubject, body: bytes, position: int) -> Event:
    kind = EVENT_TYPES.get(where.event)
    if kind is None:
        raise FromTheFuture(f"position {position}: {where.event} is not known to this version of Pressroom")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as wrong:  # the latter: nested without end
        raise Malformed(f"position {position}: the body of {where.event} is not JSON") from wrong
    if not isinstance(fields, dict):
        raise Malformed(f"position {position}: the body of {where.event} is not an object")
    shape = upcast(where.event, cast(dict[str, object], fields))
    version, newest = shape.get("version"), kind.model_fields["version"].default
    if isinstance(version, int) and version > newest:
        raise FromTheFuture(f"position {position}: {where.event} v{version} is newer than v{newest}, the newest known")
    try:
        return kind.model_validate_json(json.dumps(shape))
    except ValidationError as wrong:
        problem = wrong.errors(include_url=False, include_input=False)[0]
        raise Malformed(f"position {position}: {where.event}: {problem['loc']}: {problem['msg']}") from wrong
