"""Deltas: the text of a work while a model still writes it, for those who watch. Live only, never in the log."""

import json
import time
from contextlib import suppress

from chassis.connection import Connection, Disconnected
from chassis.runner import Say, Streams
from contracts import subjects
from contracts.events import WorkClaimed
from contracts.subjects import WorkflowKey

EVERY_S = 0.1
"""At most ten messages a second for one attempt: what is written in between goes together."""

DELTA_CHARACTERS_MAX = 32_000


def delta_streams(connection: Connection, stage: str) -> Streams:
    """Streams that publish to the workflow's delta subject."""

    def stream(key: WorkflowKey, claimed: WorkClaimed) -> Say:
        return _Stream(connection, subjects.delta(key, stage), claimed).say

    return stream


class _Stream:
    """The text of one attempt. A reader who sees a new attempt begins anew; `offset` counts characters."""

    def __init__(self, connection: Connection, subject: str, claimed: WorkClaimed) -> None:
        self._connection, self._subject = connection, subject
        self._head = {"work": claimed.work, "run": claimed.run, "attempt": claimed.attempt}
        self._offset, self._waiting, self._sent_at = 0, "", 0.0

    async def say(self, text: str) -> None:
        """Sends the text, together with what waited; soon after another it waits itself."""
        waiting = self._waiting + text
        self._waiting = waiting[-DELTA_CHARACTERS_MAX:]
        self._offset += len(waiting) - len(self._waiting)  # what is dropped shows as a hole
        if time.monotonic() - self._sent_at < EVERY_S:
            return
        body = {**self._head, "offset": self._offset, "text": self._waiting}
        self._offset += len(self._waiting)
        self._waiting, self._sent_at = "", time.monotonic()
        with suppress(Disconnected):  # the finished text is in the event
            await self._connection.publish(self._subject, json.dumps(body).encode())
