"""The keeper of a stage's consumer: makes it again, as it was declared, where somebody has deleted it.

A consumer that is made again brings every event of the log once more. A delivery is only a hint that something may be
due, so what was done already is passed over: nothing is lost, and nothing is done twice.
"""

import asyncio
import json
import time
from typing import Any, cast

import structlog

from chassis.connection import Connection, NoAnswer
from chassis.event_store import NotAllowed
from chassis.jetstream_store import STREAM
from chassis.standing import consumer_info
from chassis.topology import consumer, consumer_create

LOOK_AGAIN_S = 1.0
"""However many slots of a process are refused, JetStream is asked no more often than that."""

TIMEOUT_S = 3.0

NO_CONSUMER = 10014
"""JetStream's code where the stream stands and has no such consumer."""

log = structlog.get_logger("consumer")


class Keeper:
    """Looks after the consumer of one stage. `ack_wait_s`: as it is declared."""

    def __init__(self, connection: Connection, stage: str, *, ack_wait_s: float) -> None:
        self._connection, self._stage = connection, stage
        self._wanted = {"stream_name": STREAM, "config": consumer(stage, ack_wait_s=ack_wait_s), "action": "create"}
        self._turn, self._look_at = asyncio.Lock(), 0.0

    async def look(self) -> None:
        """Makes the consumer where it is missing; one that is there is never changed. Raises nothing."""
        async with self._turn:
            if time.monotonic() < self._look_at:
                return
            self._look_at = time.monotonic() + LOOK_AGAIN_S
            try:
                if await self._is_gone():
                    await self._make()
            except (NoAnswer, NotAllowed) as wrong:
                log.debug("consumer not looked after", stage=self._stage, why=str(wrong))

    async def _is_gone(self) -> bool:
        return (await self._ask(consumer_info(self._stage), {})).get("err_code") == NO_CONSUMER

    async def _make(self) -> None:
        refusal = await self._ask(consumer_create(self._stage), self._wanted)
        if refusal:
            log.error("consumer not made again", stage=self._stage, why=refusal.get("description"))
        else:
            log.warning("consumer made again", stage=self._stage, why="it was gone; it brings every event once more")

    async def _ask(self, subject: str, request: dict[str, Any]) -> dict[str, Any]:
        """-> JetStream's refusal; empty where it does as it was asked. Raises NoAnswer, NotAllowed."""
        answer = await self._connection.ask(subject, json.dumps(request).encode(), timeout_s=TIMEOUT_S)
        return cast(dict[str, Any], json.loads(answer.data).get("error") or {})
