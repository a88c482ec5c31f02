"""The log itself: its quota reached and raised again, a consumer deleted, and events that no code can read."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, cast

from chaos.faults.killed import POINT_WITHIN_S, is_anything
from chaos.ground import HOSTILE, CannotStart, Ground
from chaos.plan import Step
from chaos.wire.moments import Cuttable, Moment, Point, Trap
from chaos.wire.proxy import until
from chassis.connection import Connection, NoAnswer
from chassis.event_store import utc_now
from chassis.jetstream_store import STREAM
from chassis.setup import NOT_READY
from chassis.topology import DUPLICATE_WINDOW_MIN_NS
from contracts.envelope import ID, SOURCE, TIME, TYPE
from contracts.services import GATEWAY, WRITER
from contracts.subjects import EventSubject, WorkflowKey
from local.services import ROOT

FULL_S, AGAIN_S = 3.0, 0.2
RECREATED_WITHIN_S = 20.0
ANSWER_S, ANSWERED_WITHIN_S = 4.0, 30.0
OWNER = "local"


async def fill(step: Step, ground: Ground) -> None:
    """Its quota is set to what it holds. Raised again once somebody was refused, and a little later."""

    def act(_: Moment, __: Cuttable) -> None:
        pass

    async with ground.connection() as connection:
        told = await ask(connection, f"STREAM.INFO.{STREAM}", {})
        config, size = told["config"], told["state"]["bytes"]
        changed = await ask(connection, f"STREAM.UPDATE.{STREAM}", {**config, "max_bytes": size + 1})
        if "error" in changed:
            ground.skipped(step, f"the quota cannot be set: {changed['error'].get('description')}")
            return
        ground.fired(step, f"the log holds {size} bytes and may hold no more")
        try:
            refused = await ground.board.spring(Trap("", Point.REFUSED, act, only=is_anything), POINT_WITHIN_S)
            await asyncio.sleep(FULL_S)
        finally:
            await ask(connection, f"STREAM.UPDATE.{STREAM}", config)
    who = f"{refused.process} was refused: {refused.about['error']}" if refused else "nobody wrote meanwhile"
    ground.healed(step, f"the quota is raised again; {who}")


async def forget_repeats(ground: Ground) -> None:
    """Has JetStream itself know no event again, as it does for two minutes unless it is told otherwise: so whatever is
    repeated in this run is repeated as if hours lay between.
    """
    async with ground.connection() as connection:
        config = (await ask(connection, f"STREAM.INFO.{STREAM}", {}))["config"]
        told = await ask(connection, f"STREAM.UPDATE.{STREAM}", {**config, "duplicate_window": DUPLICATE_WINDOW_MIN_NS})
    if "error" in told:
        raise CannotStart(f"The log does not forget: {told['error']}")


async def delete_consumer(step: Step, ground: Ground) -> None:
    """As an operator does by mistake."""
    stage = step.choices["stage"]
    async with ground.connection() as connection:
        await ask(connection, f"CONSUMER.DELETE.{STREAM}.{stage}", {})
        ground.fired(step, f"the consumer {stage} is deleted")

        async def look() -> bool:
            return "error" not in await ask(connection, f"CONSUMER.INFO.{STREAM}.{stage}", {})

        if await until(look, RECREATED_WITHIN_S, every_s=0.2):
            ground.healed(step, f"the consumer {stage} is there again")
            return
        code = await set_up(ground)
    ground.healed(
        step, f"nobody made it anew within {RECREATED_WITHIN_S:g} s; the set-up step did, and ended with {code}"
    )


async def set_up(ground: Ground) -> int:
    """Runs the set-up step, as an operator would. -> its exit code"""
    told = ground.set_up_environment()
    process = await asyncio.create_subprocess_exec(
        *ground.python("chassis.setup"), cwd=ROOT, env=told, stdout=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


async def publish_hostile_events(step: Step, ground: Ground) -> None:
    """Each on a workflow of its own, with a right of the service whose user says it."""
    stored = 0
    for number, (user, event, body) in enumerate(hostile(), start=1):
        key = WorkflowKey(OWNER, f"hostile-{ground.plan.seed}-{step.number}-{number}")
        subject = str(EventSubject(key, user, event, 1))
        headers = {ID: key.workflow_id, TYPE: event, TIME: utc_now().isoformat(), SOURCE: f"/pressroom/{user}"}
        async with ground.connection(user, through=HOSTILE) as connection:
            try:
                answer = await connection.ask(subject, body, headers=headers, timeout_s=ANSWER_S)
            except NoAnswer:
                continue
            stored += "error" not in json.loads(answer.data)
    if not stored:
        ground.skipped(step, "the log took none of the events in")
        return
    ground.fired(step, f"{stored} events were stored that no code can read")

    async def look() -> bool:
        database = await ground.database()
        try:
            return await database.fetchval("SELECT count(*) FROM read.quarantine") >= stored
        finally:
            await database.close()

    is_held = await until(look, POINT_WITHIN_S, every_s=0.3)
    ground.healed(step, "their workflows are held, and no others" if is_held else "they are not all held yet")


def hostile() -> list[tuple[str, str, bytes]]:
    """Who says it, under which name, and what. None of it wakes a stage: that would be for newer code."""
    future = json.dumps({"type": "social-post-written", "version": 99}).encode()
    return [
        (WRITER, "social-post-written", b"this is not JSON"),
        (WRITER, "social-post-written", b'"' + b"x" * 900_000 + b'"'),
        (WRITER, "applause-heard", b"{}"),
        (WRITER, "social-post-written", future),
        (GATEWAY, "workflow-cancelled", b"\xff\xfe\x00"),
    ]


async def ask(connection: Connection, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """A request of JetStream's own, asked again while nobody answers: a cluster has first to agree who leads.

    Raises NoAnswer.
    """
    payload, give_up_at = json.dumps(request).encode(), time.monotonic() + ANSWERED_WITHIN_S
    while True:
        try:
            answer = await connection.ask(f"$JS.API.{name}", payload, timeout_s=ANSWER_S)
        except NoAnswer:
            if time.monotonic() > give_up_at:
                raise
        else:
            told = cast(dict[str, Any], json.loads(answer.data))
            if told.get("error", {}).get("err_code") not in NOT_READY or time.monotonic() > give_up_at:
                return told
        await asyncio.sleep(AGAIN_S)


STRIKES = {"log-full": fill, "consumer-deleted": delete_consumer, "hostile-events": publish_hostile_events}
