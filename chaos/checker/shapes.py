"""The shapes of the files in a run's directory. What a newer driver adds is left alone."""

from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field


class Line(BaseModel):
    """One object of a file. `at` is seconds since 1970 wherever it stands."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Plan(Line):
    """What was meant to happen: drawn from the seed before the start."""

    seed: int
    workflows: int
    faults: tuple[str, ...]
    nodes: int = 1
    planted: str | None = None


class Happening(Line):
    """A fault that was fired or healed; or `calm`, when all faults are over; or the `end`."""

    at: float
    kind: str
    step: int | None = None
    target: str | None = None
    phase: Literal["fired", "healed", "skipped"] | None = None
    detail: str = ""


class Said(Line):
    """What a client did or saw. `id` pairs what it began with how that ended."""

    at: float
    client: str
    op: str
    phase: Literal["invoked", "ok", "failed", "unknown"] | None = None
    id: str | int | None = None
    body: Any = None
    client_request_id: str | None = None
    workflow_id: str | None = None
    status: int | None = None
    after_revision: int | None = None
    revision: int | None = None
    event: str | None = None
    event_id: str | None = None
    data: dict[str, Any] | None = None
    code: int | str | None = None
    """Of a websocket that was closed; or of the problem that was answered."""
    path: str | None = None
    body_sha256: str | None = None
    """What was read, and the hash of what came."""


class Append(Line):
    """What a writer sent to the log, and what the log said to it, as a proxy between them saw it."""

    at: float
    process: str
    subject: str
    ce_id: str | None = None
    sha256: str
    phase: Literal["sent", "acked", "refused", "unanswered"]
    position: int | None = None
    error: Any = None


class Call(Line):
    """A paid call, as the model itself counts them."""

    number: int
    kind: str
    topic: str
    platform: str | None = None
    began_at: float = Field(validation_alias=AliasChoices("began_at", "started_at"))
    ended_at: float | None = None
    outcome: str | None = None
    status: int | None = None
    code: str | None = None
    retry_after: float | None = None
    call: str | None = None
    """What it is called in answers.jsonl."""
    question: str = ""
    """A hash of all that was asked."""
    is_spoilt: bool = False
    """The harness had the model give another answer than it would have given, or none."""


class Answer(Line):
    """A call of the model as a proxy saw it: asked for by its process; its whole answer sent on to that process."""

    at: float
    process: str
    call: str
    phase: Literal["asked", "answered"]
    status: int | None = None


class Stored(Line):
    """A message of the log, or its copy in the archive. `body` in base64."""

    position: int
    subject: str
    headers: dict[str, str]
    body: str
    sha256: str


class LogState(Line):
    """From where to where a copy of the log reaches, and how many messages it holds."""

    epoch: str
    first: int
    last: int
    count: int


class Checkpoint(Line):
    """The projector's books at the end."""

    generation: int
    epoch: str
    position: int
    applied: int
    held: int


class Seen(Line):
    """The checkpoint, as it stood at a moment of the run."""

    at: float
    generation: int
    epoch: str
    position: int


class Held(Line):
    """A workflow that is held, as the quarantine lists it."""

    owner: str
    workflow_id: str
    position: int
    subject: str
    error: str
    events: int


class Object(Line):
    """An object in the store, measured from its own bytes; no width where it is no picture."""

    key: str
    sha256: str
    size: int
    content_type: str | None = None
    width: int | None = None
    height: int | None = None


class Consumer(Line):
    """A stage's consumer at the end. `error`: why nothing is known of it."""

    pending: int = 0
    ack_pending: int = 0
    redelivered: int = 0
    error: str | None = None


class Queue(Line):
    """How full one was, and how full it may be."""

    length: int
    most: int


class Load(Line):
    """What a process of a service had on its hands, by its own word."""

    tasks: int
    queues: dict[str, Queue]


class Resources(Line):
    """What a process held, before the faults, meanwhile, or after them. No load: it did not say so, or is a server."""

    when: Literal["before", "during", "after"]
    process: str
    pid: int
    rss_bytes: int
    files: int
    threads: int
    load: Load | None = None


class Canaries(Line):
    """Words that must turn up nowhere: the model's key; and one in a topic, which has its own few places."""

    key: str
    prompt: str
