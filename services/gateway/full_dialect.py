"""The full dialect over a websocket: start or attach; then events in order, texts while they are written, commands.

first frame ──> start | attach ──> events, deltas, heartbeats ──> the run is over, nobody resumes ──> close 1000
                                   cancel, resume, ping
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from chassis.event_store import History, StoreUnavailable
from contracts.deltas import Delta
from contracts.envelope import Recorded
from contracts.events import Event
from contracts.requests import sentence
from contracts.websocket import (
    FIRST_FRAMES,
    LATER_FRAMES,
    Accepted,
    Attach,
    Cancel,
    CloseCode,
    Heartbeat,
    Ping,
    Pong,
    Resume,
    Start,
    delta_frame,
    event_frame,
)
from contracts.workflow import AlreadyClosed, HistoryFull, fold, is_closed_after
from services.gateway.desk import Desk
from services.gateway.refusals import refusal
from services.gateway.sockets import BadFrame, Socket, beat, until_first
from services.gateway.tail import Tails

HEARTBEAT_S = 15.0
"""Of silence: then the client is shown that the connection stands."""

LINGER_S = 10.0
"""After the end of a run a socket waits so long for a `resume`."""

ANSWERED = (AlreadyClosed, HistoryFull, StoreUnavailable)
"""Why a `cancel` or `resume` may be impossible without anything being wrong with the socket."""

F = TypeVar("F", bound=BaseModel)


async def converse(socket: Socket, fields: dict[str, Any], desk: Desk, tails: Tails) -> None:
    """Serves one client from its first frame on. Raises what `refusal` has words for."""
    match understood(fields, FIRST_FRAMES):
        case Start() as request:
            key, _ = await desk.start(request)
            await Conversation(socket, desk, History(key), after=0).hold(tails)
        case Attach(workflow_id=workflow_id, after_revision=after):
            history = await desk.history(workflow_id, reach=after)
            await Conversation(socket, desk, history, after=after).hold(tails)


class Conversation:
    """One client that follows one workflow behind a revision. The history is what is known of it in the beginning."""

    def __init__(self, socket: Socket, desk: Desk, history: History, *, after: int) -> None:
        self._socket, self._desk, self._key = socket, desk, history.key
        self._revision, self._known = after, history.revision
        self._is_closed = fold(recorded.event for recorded in history.recorded[:after]).is_closed
        self._over = asyncio.Event()
        self._lingering: asyncio.TimerHandle | None = None

    async def hold(self, tails: Tails) -> None:
        """Tells all that happens, and hears what the client says, until the run is over or the client gone."""
        self._linger()
        try:
            beating = beat(HEARTBEAT_S, lambda: self._socket.said_at, self._say_heartbeat)
            await until_first(self._speak(tails), self._listen(), beating, self._over.wait())
        finally:
            self._stop_lingering()
        await self._socket.close(CloseCode.DONE)

    async def _speak(self, tails: Tails) -> None:
        async with tails.watch(self._key, after=self._revision) as heard:
            async for one in heard:
                if isinstance(one, Delta):
                    await self._socket.say(delta_frame(self._key.workflow_id, one).text())
                else:
                    self._stop_lingering()
                    await self._socket.say(event_text(one))
                    self._revision = one.revision
                    self._is_closed = is_closed_after(one.event, was_closed=self._is_closed)
                    self._linger()

    async def _listen(self) -> NoReturn:
        while True:
            match understood(await self._socket.hear(), LATER_FRAMES):
                case Ping(id=id):
                    await self._socket.say(Pong(payload=id).text())
                case command:
                    await self._obey(command)

    async def _obey(self, command: Cancel | Resume) -> None:
        """Records the command, or says why that cannot be; meanwhile the conversation does not end."""
        self._stop_lingering()
        do = self._desk.cancel if isinstance(command, Cancel) else self._desk.resume
        try:
            stands = await do(self._key.workflow_id, command.reason)
        except ANSWERED as wrong:
            if (refused := refusal(wrong)) is not None:
                await self._socket.say(refused.frame.text())
        else:
            self._known = max(self._known, stands.revision)
            accepted = Accepted(
                payload=command.type,
                workflow_id=self._key.workflow_id,
                revision=stands.revision,
                position=stands.position,
            )
            await self._socket.say(accepted.text())
        self._linger()

    async def _say_heartbeat(self) -> None:
        heartbeat = Heartbeat(workflow_id=self._key.workflow_id, revision=self._revision, ts=datetime.now(UTC))
        await self._socket.say(heartbeat.text())

    def _linger(self) -> None:
        """Ends the conversation in a while where the run is closed and all that is known was told."""
        self._stop_lingering()
        if self._is_closed and self._revision >= self._known:
            self._lingering = asyncio.get_running_loop().call_later(LINGER_S, self._over.set)

    def _stop_lingering(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()


def understood(fields: dict[str, Any], known: Mapping[str, type[F]]) -> F:
    """The frame that these fields are. Raises BadFrame, with what they have to be."""
    name = fields.get("type")
    kind = known.get(name) if isinstance(name, str) else None
    if kind is None:
        raise BadFrame(f"type: it has to be one of {', '.join(known)} here")
    try:
        return kind.model_validate(fields)
    except ValidationError as wrong:
        raise BadFrame(sentence(wrong)) from None


@lru_cache(maxsize=64)
def event_text(recorded: Recorded[Event]) -> str:
    """The frame that tells of an event: made once, however many sockets are told."""
    return event_frame(recorded).text()
