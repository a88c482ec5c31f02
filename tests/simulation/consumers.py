"""The durable consumers of the stages: who is given which message, when it comes again, and what remains unsettled.

As measured: a message that is neither settled nor renewed for `ack_wait` comes again, to whomever; acks and naks act on
the message, whoever holds it; a frozen process's open pulls are served as well.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from contracts.envelope import Recorded
from contracts.events import AttemptFailed, Event
from tests.simulation.accounts import Account
from tests.simulation.rules import Broken
from tests.simulation.stages import DECLARED

if TYPE_CHECKING:
    from tests.simulation.processes import Held, StageProcess
    from tests.simulation.world import World

ACK_WAIT_S = 5.0

RENEWED_WITHIN_S = 2.0
"""A holder that is well renews every second; one that could for so long and did not is broken."""


class Status(Enum):
    """Where a message stands at its consumer."""

    AVAILABLE = 1
    PENDING = 2
    DELAYED = 3
    ACKED = 4


@dataclass(eq=False)
class Message:
    """One message at one consumer. `at`: when it comes again, unless something happens before."""

    recorded: Recorded[Event]
    account: Account
    status: Status = Status.AVAILABLE
    at: float = 0.0
    naks: int = 0
    comebacks: int = 0
    """Times that it came again for another reason than a nak."""
    alarm: asyncio.TimerHandle | None = None
    holders: "list[Held]" = field(default_factory=list["Held"])


class Consumer:
    """One stage's consumer. The stage's processes join it with their free slots."""

    def __init__(self, world: "World", stage: str) -> None:
        self.world, self.stage, self.wakes = world, stage, DECLARED[stage].wakes
        self.messages: list[Message] = []
        self._available: deque[Message] = deque()
        self._processes: list[StageProcess] = []

    def join(self, process: "StageProcess") -> None:
        """A process has begun to pull."""
        self._processes.append(process)
        self.hand_out()

    def leave(self, process: "StageProcess") -> None:
        """Its connection is gone, and its pulls with it."""
        if process in self._processes:  # else it has not come so far as to pull
            self._processes.remove(process)

    def store(self, recorded: Recorded[Event], account: Account) -> None:
        """An event was stored: where it may make something due, it has to be delivered."""
        if isinstance(recorded.event, self.wakes):
            message = Message(recorded, account)
            self.messages.append(message)
            account.unsettled[self.stage].add(recorded.revision)
            self._offer(message)

    def hand_out(self) -> None:
        """Gives what is available to whoever has a free slot."""
        while self._available:
            free = [process for process in self._processes if process.has_free_slot]
            if not free:
                return
            message = self._available.popleft()
            if message.status is Status.AVAILABLE:
                self._deliver(message, self.world.random.choice(free))

    def renew(self, message: Message) -> None:
        """Its holder is still at it."""
        if message.status is Status.PENDING:
            message.at = self.world.time() + ACK_WAIT_S

    def ack(self, message: Message) -> None:
        """It is settled for good."""
        message.status = Status.ACKED
        message.account.unsettled[self.stage].discard(message.recorded.revision)
        self._stop_alarm(message)

    def nak(self, message: Message, delay_s: float) -> None:
        """It comes again after a while, whoever works on it by then."""
        if message.status is not Status.ACKED:
            message.naks += 1
            message.status, message.at = Status.DELAYED, self.world.time() + delay_s
            self._set_alarm(message)

    def deliver_again(self, message: Message) -> None:
        """The server has forgotten what became of this message."""
        message.comebacks += 1
        self._stop_alarm(message)
        message.account.unsettled[self.stage].add(message.recorded.revision)
        if message.status is not Status.AVAILABLE:
            message.status = Status.AVAILABLE
            self._offer(message)

    def check_end(self, message: Message) -> None:
        """Raises Broken where a message was sent back more often than there were retries to wait for."""
        failures = sum(isinstance(one.event, AttemptFailed) for one in message.account.history.recorded)
        clocks = 2 if self.world.mix.wrong_clock else 1  # one that is a little behind has a retry waited for once more
        if message.naks > failures * (1 + message.comebacks) * clocks:
            raise Broken(
                f"message {message.recorded.revision} came back {message.naks} times after {failures} failures"
            )

    def _offer(self, message: Message) -> None:
        self._available.append(message)
        self.hand_out()

    def _deliver(self, message: Message, process: "StageProcess") -> None:
        message.status, message.at = Status.PENDING, self.world.time() + ACK_WAIT_S
        self._set_alarm(message)
        process.take(message)

    def _set_alarm(self, message: Message) -> None:
        self._stop_alarm(message)
        message.alarm = asyncio.get_running_loop().call_at(message.at, self._look, message)

    def _stop_alarm(self, message: Message) -> None:
        if message.alarm is not None:
            message.alarm.cancel()
            message.alarm = None

    def _look(self, message: Message) -> None:
        """The time of a message has come, unless it was renewed meanwhile."""
        if message.at > self.world.time():
            self._set_alarm(message)
            return
        if message.status is Status.PENDING:
            self._account_for_silence(message)
        message.alarm, message.status = None, Status.AVAILABLE
        self._offer(message)

    def _account_for_silence(self, message: Message) -> None:
        """Nobody has renewed it for `ack_wait`: that needs a reason."""
        message.comebacks += 1
        if any(held.could_speak_for(RENEWED_WITHIN_S) for held in message.holders):
            self.world.breaks(f"{self.stage} holds message {message.recorded.revision} in silence", message.account.key)
        if any(held.is_muted for held in message.holders):
            message.account.excuse(self.stage)
        self.world.say(message.account.key, self.stage, "ack_wait is over", message.recorded.revision)
