"""What is planted for verify to find: a log with three workflows, and damage to what was made of it."""

from contextlib import AsyncExitStack

from contracts.events import Event
from contracts.services import PROJECTOR
from contracts.subjects import EventSubject, WorkflowKey
from local.servers import Running
from services.projector.verify.examination import examine
from services.projector.verify.report import Report
from tests.contracts.given import (
    attempt_failed,
    blog_written,
    cancelled,
    claimed,
    completed,
    drawn,
    posted,
    requested,
    researched,
    resumed,
    writer_of,
)
from tests.services.projector.press import Press, set_up_press

TEA, COFFEE, BROKEN = (WorkflowKey("local", name) for name in ("tea", "coffee", "broken"))
"""A workflow that has everything, one that went through much, and one that is held from position 17 on."""

TEA_EVENTS = (
    *(requested(research=True), claimed("research"), researched(), claimed("blog"), blog_written(cited=(1, 2))),
    *(claimed("social:linkedin"), posted(), claimed("illustration"), drawn(), completed()),
)
COFFEE_EVENTS = (requested(), claimed("blog"), attempt_failed("blog"), cancelled(), resumed())
HELD_FROM, END = 17, 18


async def fill(running: Running) -> None:
    """Sets up the log and the database, and records the three workflows."""
    await set_up_press(running)
    async with AsyncExitStack() as stack:
        press = Press(running, stack)
        await press.record(TEA, *TEA_EVENTS)
        await press.record(COFFEE, *COFFEE_EVENTS)
        await press.record(BROKEN, requested())
        assert await press.publish(BROKEN, 2, b"no JSON") == HELD_FROM
        assert await press.publish(BROKEN, 3, b"no JSON") == END


async def damaged(press: Press, *statements: str) -> list[str]:
    """The differences, as lines, when the database's owner has done this."""
    for statement in statements:
        await (await press.database()).execute(statement)
    return await press.differences()


async def examined(press: Press) -> Report:
    """The report on what a projector made of this log."""
    return await examine(await press.log(), await press.database(PROJECTOR))


def subject_of(key: WorkflowKey, event: Event, revision: int) -> EventSubject:
    """Where this event stands in the log."""
    return EventSubject(key, writer_of(event), event.type, revision)
