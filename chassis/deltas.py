"""Deltas: the text of a work while a model still writes it, for those who watch. Live only, never in the log."""

import time
from contextlib import suppress

from chassis.connection import Connection, Disconnected
from chassis.runner import Say, Streams
from contracts import subjects
from contracts.deltas import Delta
from contracts.events import UNSTORABLE, WorkClaimed
from contracts.subjects import WorkflowKey

EVERY_S = 0.1
"""At most ten messages a second for one attempt: what is written in between goes together."""

WHOLE_EVERY_S = 2.0
"""Now and then the whole text is sent: so long waits at most who began to listen late, or lost a message."""

TEXT_CHARACTERS_MAX = 100_000
"""Of one attempt's text; what is longer is read when it is finished. In UTF-8 it fits into one message of NATS."""


def delta_streams(connection: Connection, stage: str) -> Streams:
    """Streams that publish to the workflow's delta subject."""

    def stream(key: WorkflowKey, claimed: WorkClaimed) -> Say:
        return _Stream(connection, subjects.delta(key, stage), claimed).say

    return stream


class _Stream:
    """The text of one attempt, and how much of it was sent."""

    def __init__(self, connection: Connection, subject: str, claimed: WorkClaimed) -> None:
        self._connection, self._subject, self._claimed = connection, subject, claimed
        self._text, self._told = "", 0
        self._sent_at = self._whole_at = 0.0

    async def say(self, text: str) -> None:
        """Sends the text, together with what waited; soon after another it waits itself."""
        self._text = (self._text + UNSTORABLE.sub("\ufffd", text))[:TEXT_CHARACTERS_MAX]
        now = time.monotonic()
        if now - self._sent_at < EVERY_S or self._told == len(self._text):
            return
        if now - self._whole_at >= WHOLE_EVERY_S:
            self._told, self._whole_at = 0, now
        offset, self._told, self._sent_at = self._told, len(self._text), now
        with suppress(Disconnected):  # the finished text is in the event
            await self._connection.publish(self._subject, self._delta(offset).model_dump_json().encode())

    def _delta(self, offset: int) -> Delta:
        claimed = self._claimed
        return Delta(
            work=claimed.work,
            run=claimed.run,
            attempt=claimed.attempt,
            offset=offset,
            text=self._text[offset:],
        )
