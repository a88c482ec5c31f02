"""The roll: the processes that have said lately that they are there. Kept in memory, filled by whoever speaks."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import structlog
from nats.aio.msg import Msg

from chassis.connection import Connection, Disconnected
from chassis.event_store import Clock, utc_now
from chassis.telemetry import Seldom
from contracts import subjects
from contracts.presence import HEARD_WITHIN_S, BadPresence, Presence
from contracts.services import SERVICES
from contracts.subjects import BadToken

PROCESSES_MAX = 200
"""Of one service; further ones are left out. So none can fill the roll for the others, nor the memory: 40 MB in all."""

log = structlog.get_logger("roll")


@dataclass(frozen=True)
class Heard:
    """A process, in its own words, and when it said them: by our clock, and by a steady one."""

    presence: Presence
    at: datetime
    steady_at: float


class Roll:
    """Who is there. `clock` and `steady` tell the time: the one for people, the other for what passes of it."""

    def __init__(self, *, clock: Clock = utc_now, steady: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._steady = clock, steady
        self._heard: dict[str, dict[str, Heard]] = {service: {} for service in SERVICES}
        self._since = steady()
        self._seldom = Seldom()
        self.is_listening = False
        """Will it hear whoever speaks?"""

    @classmethod
    async def listening(cls, connection: Connection) -> Self:
        """A roll that hears whoever speaks on this connection."""
        roll = cls()
        await roll.listen(connection)
        return roll

    async def listen(self, connection: Connection) -> None:
        """Hears whoever speaks, also when the connection was lost and is there again; and asks everybody to."""
        connection.on_reconnect.append(self._begin)
        await connection.subscribe(subjects.EVERY_PRESENCE, self.hear)
        self.is_listening = True
        self._begin()
        with suppress(Disconnected):  # then they speak within seconds
            await connection.publish(subjects.ROLL_CALL)

    @property
    def listens_s(self) -> float:
        """For how long it has been listening without a break."""
        return self._steady() - self._since

    def there(self, service: str) -> list[Heard]:
        """The processes of this service that were heard lately, by name."""
        self._strike_off(service)
        return [heard for _, heard in sorted(self._heard[service].items())]

    async def hear(self, message: Msg) -> None:
        """One process has spoken. What is no presence is passed over: anything may come over the wire."""
        try:
            self._note(subjects.whose_presence(message.subject), Presence.read(message.data))
        except (BadPresence, BadToken) as wrong:
            if self._seldom.allows(message.subject, self._steady()):
                log.warning("not a presence", subject=message.subject, why=str(wrong))

    def _note(self, service: str, presence: Presence) -> None:
        """Raises BadPresence where nobody of that name is expected, or too many are there."""
        if service not in self._heard:
            raise BadPresence("there is no such service")
        there = self._heard[service]
        if presence.leaving:
            there.pop(presence.worker, None)
            return
        if presence.worker not in there and len(there) >= PROCESSES_MAX:
            self._strike_off(service)
            if len(there) >= PROCESSES_MAX:
                raise BadPresence(f"{PROCESSES_MAX} processes of {service} are there already")
        there[presence.worker] = Heard(presence, self._clock(), self._steady())

    def _strike_off(self, service: str) -> None:
        """Those who have fallen silent."""
        there, now = self._heard[service], self._steady()
        for worker in [worker for worker, heard in there.items() if now - heard.steady_at > HEARD_WITHIN_S]:
            del there[worker]

    def _begin(self) -> None:
        self._since = self._steady()
