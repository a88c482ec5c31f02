"""The old dialect over a websocket: one request in, progress out, then the results."""

from typing import Any

from pydantic import ValidationError

from contracts.old_dialect import OldDialect
from contracts.requests import ContentRequest, sentence
from contracts.subjects import WorkflowKey
from contracts.websocket import CloseCode
from services.gateway.desk import Desk
from services.gateway.sockets import BadFrame, Socket, until_first
from services.gateway.tail import Tails


async def recite(socket: Socket, fields: dict[str, Any], desk: Desk, tails: Tails) -> None:
    """Starts what is asked for, and sends its frames up to the results. Raises what `refusal` has words for."""
    try:
        request = ContentRequest.model_validate(fields)
    except ValidationError as wrong:
        raise BadFrame(sentence(wrong)) from None
    key, _ = await desk.start(request)
    await until_first(_frames(socket, tails, key), socket.ignore())


async def _frames(socket: Socket, tails: Tails, key: WorkflowKey) -> None:
    dialect = OldDialect()
    async with tails.follow(key) as events:
        async for recorded in events:
            for frame in dialect.frames(recorded):
                await socket.say(frame.text())
                if frame.type == "results":
                    await socket.close(CloseCode.DONE)
                    return
