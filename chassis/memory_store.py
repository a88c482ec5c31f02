"""An event store in memory, for tests of pure parts and for the simulation. It keeps the contract of event_store.py."""

from collections.abc import Callable

from chassis.event_store import Clock, Conflict, History, check_size, utc_now
from contracts.envelope import Recorded, decode, encode
from contracts.events import Event
from contracts.subjects import EventSubject, WorkflowKey

Listener = Callable[[Recorded[Event]], None]


class MemoryLog:
    """The log itself. Events go through their wire format, so that what is read is what a real store would give."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self.clock = clock
        self.position = 0
        self.listeners: list[Listener] = []
        self._histories: dict[WorkflowKey, list[History]] = {}

    def histories(self, key: WorkflowKey) -> list[History]:
        """Every history that this workflow has had: of 0 events, of 1, and so on to the whole of it."""
        if (known := self._histories.get(key)) is None:
            known = self._histories[key] = [History(key)]
        return known

    def append(
        self, service: str, history: History, event: Event, *, id: str, cause: str | None = None
    ) -> Recorded[Event]:
        """Appends behind this history. Raises Conflict when it is not the whole history, EventTooLarge."""
        self.check_fence(history)
        subject = EventSubject(history.key, service, event.type, history.revision + 1)
        headers, body = encode(event, id=id, service=service, recorded_at=self.clock(), cause=cause)
        check_size(event, body)
        self.position += 1
        recorded = decode(str(subject), headers, body, position=self.position)
        histories = self.histories(history.key)
        histories.append(histories[-1].then(recorded))
        for listener in self.listeners:
            listener(recorded)
        return recorded

    def check_fence(self, history: History) -> None:
        """Raises Conflict unless this is the whole history."""
        last = self.histories(history.key)[-1].position
        if history.position != last:
            raise Conflict(f"expected position {history.position}, the last is {last}")


class MemoryStore:
    """One service's view of a MemoryLog."""

    def __init__(self, log: MemoryLog, service: str) -> None:
        self._log, self._service = log, service

    async def read(self, key: WorkflowKey, *, reach: int = 0) -> History:
        """See EventStore.read."""
        return self._log.histories(key)[-1]

    async def append(self, history: History, event: Event, *, id: str, cause: str | None = None) -> Recorded[Event]:
        """See EventStore.append."""
        return self._log.append(self._service, history, event, id=id, cause=cause)
