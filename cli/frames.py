"""The server's frames as this client reads them. Tolerant: what it does not know is left out. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from cli.wording import harmless, moment_of

REQUESTED, CLAIMED, ATTEMPT_FAILED = "workflow-requested", "work-claimed", "attempt-failed"
COMPLETED, FAILED, CANCELLED = "workflow-completed", "workflow-failed", "workflow-cancelled"
RESUMED = "workflow-resumed"
TERMINAL = frozenset({COMPLETED, FAILED, CANCELLED})


@dataclass(frozen=True)
class Problem:
    """Why something failed or cannot be: a code for programs, a sentence for people."""

    code: str
    message: str
    retryable: bool


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame from the server. All its texts are harmless."""

    type: str
    payload: str = ""
    workflow_id: str | None = None
    revision: int = 0
    event: str = ""
    work: str = ""
    run: int = 0
    attempt: int = 0
    offset: int = 0
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    error: Problem | None = None
    ts: datetime | None = None
    position: int = 0


class Unreadable(Exception):
    """What the server sent is no frame of Pressroom."""


def read_frame(text: str | bytes) -> Frame:
    """The frame that this text holds. Raises Unreadable."""
    try:
        keys = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("it is not JSON") from None
    if not isinstance(keys, dict) or not isinstance(cast(dict[str, Any], keys).get("type"), str):
        raise Unreadable("it is not an object with a type")
    return frame_of(cast(dict[str, Any], keys))


def frame_of(raw: Mapping[str, Any]) -> Frame:
    """The frame with these keys; an event as `GET /workflows/{id}/events` tells it is one too."""
    keys = harmless(dict(raw))
    return Frame(
        type=_text(keys, "type") or "event",
        payload=_text(keys, "payload"),
        workflow_id=_text(keys, "workflow_id") or None,
        revision=_number(keys, "revision"),
        event=_text(keys, "event"),
        work=_text(keys, "work"),
        run=_number(keys, "run") or _number(_object(keys, "data"), "run"),
        attempt=_number(keys, "attempt"),
        offset=_number(keys, "offset"),
        data=_object(keys, "data"),
        error=_problem(_object(keys, "error")),
        ts=moment_of(keys.get("ts")),
        position=_number(keys, "position"),
    )


def _problem(keys: Mapping[str, Any]) -> Problem | None:
    if not keys:
        return None
    return Problem(_text(keys, "code"), _text(keys, "message"), keys.get("retryable") is True)


def _text(keys: Mapping[str, Any], name: str) -> str:
    value = keys.get(name)
    return value if isinstance(value, str) else ""


def _number(keys: Mapping[str, Any], name: str) -> int:
    value = keys.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _object(keys: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = keys.get(name)
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}
