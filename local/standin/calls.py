"""The list of calls: every request that reached the API, and what became of it."""

import time
from collections import deque

from pydantic import BaseModel

from .jobs import Job, Kind

CALLS_MAX = 100_000  # the oldest are forgotten first; at some 500 bytes a call this stays below 50 MB


class Call(BaseModel):
    """Times are seconds since 1970. `outcome` is None while the call goes on."""

    number: int
    kind: Kind
    platform: str | None
    topic: str
    model: str
    started_at: float
    ended_at: float | None = None
    outcome: str | None = None
    code: str | None = None
    """What kind of failure it was told, and after how many seconds it may be tried again."""
    retry_after: float | None = None
    client_request_id: str | None = None
    """What the client calls it, where it says so: its `X-Client-Request-Id`."""
    question: str = ""
    """A hash of all that was asked: calls with the same one ask the very same."""
    is_spoilt: bool = False
    """A rule has made the answer another one than it would have been."""

    def end(self, outcome: str) -> None:
        """A planned fault has named the outcome already; then only the end is new."""
        self.outcome = self.outcome or outcome
        self.ended_at = time.time()


class Calls:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.kept = deque[Call](maxlen=CALLS_MAX)
        self.count = 0

    def open(self, job: Job, model: str) -> Call:
        self.count += 1
        call = Call(
            number=self.count,
            kind=job.kind,
            platform=job.platform,
            topic=job.topic,
            model=model,
            started_at=time.time(),
        )
        self.kept.append(call)
        return call
