"""A delivery as a runner is given it, without a consumer: for whoever tests what runners do."""

from dataclasses import dataclass, field
from datetime import timedelta

from contracts.envelope import Recorded
from contracts.events import Event
from contracts.subjects import WorkflowKey


@dataclass
class Held:
    """A delivery in the hands of the test: it notes what is said of it."""

    recorded: Recorded[Event]
    said: list[object] = field(default_factory=list[object])
    signs_of_life: int = 0

    @property
    def key(self) -> WorkflowKey:
        return self.recorded.key

    @property
    def revision(self) -> int:
        return self.recorded.revision

    @property
    def event(self) -> str:
        return self.recorded.event.type

    @property
    def event_id(self) -> str:
        return self.recorded.id

    async def in_progress(self) -> None:
        self.signs_of_life += 1

    async def ack(self) -> None:
        self.said.append("ack")

    async def nak(self, delay: timedelta) -> None:
        self.said.append(delay)
