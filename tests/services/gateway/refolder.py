"""A projector as far as the gateway asks one: it answers what a test has it answer, over the real server."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from nats.aio.msg import Msg

from contracts.refolds import Outcome, RefoldAsked, Refolded
from contracts.services import PROJECTOR
from contracts.subjects import REFOLD, WorkflowKey
from tests.services.gateway.newsroom import Newsroom

FOLDED = Refolded(outcome=Outcome.FOLDED)


@asynccontextmanager
async def refolding(room: Newsroom, answer: Refolded = FOLDED) -> AsyncGenerator[list[WorkflowKey]]:
    """Answers each request in this way. Gives the workflows that were asked for."""
    connection, asked = await room.connection(PROJECTOR), list[WorkflowKey]()

    async def heard(message: Msg) -> None:
        asked.append(RefoldAsked.model_validate_json(message.data).key)
        await connection.publish(message.reply, answer.model_dump_json().encode())

    listening = await connection.subscribe(REFOLD, heard, queue=PROJECTOR)
    await connection.flush()
    yield asked
    await connection.unsubscribe(listening)
    await connection.flush()  # nobody listens from here on
