"""The whole log as JetStream holds it: every message in order of position, readable or not, and the log's own id.

Batches of direct gets: they need no consumer, so there is nothing to create, to lose or to own, and were measured at
40,000 messages a second (1 KB each, 300,000 subjects), 13 microseconds of the server each.
"""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from nats.aio.msg import Msg

from chassis.connection import STATUS, Connection, NoAnswer
from chassis.event_store import StoreUnavailable
from chassis.jetstream_store import DIRECT_GET, STREAM
from contracts.subjects import WorkflowKey
from contracts.subjects import history as history_subject

BUCKET = "KV_PRESSROOM"
"""The stream behind the bucket, named as JetStream's key-value stores are, so that any NATS client can read it."""

BUCKET_SUBJECTS, EPOCH = "$KV.PRESSROOM.>", "$KV.PRESSROOM.epoch"
EPOCH_GET = f"$JS.API.DIRECT.GET.{BUCKET}.{EPOCH}"
RESTORING = "$KV.PRESSROOM.restoring"
"""Says, while there is something in it, that the log is taken away and made anew under its old id."""

STREAM_INFO = f"$JS.API.STREAM.INFO.{STREAM}"

BATCH = 256
BATCH_BYTES_MAX = 4 * 1024**2
"""Of one answer: well below what a connection lets wait."""

TIMEOUT_S = 10.0

ADDED_BY_SERVER = {
    "Nats-Stream",
    "Nats-Subject",
    "Nats-Sequence",
    "Nats-Time-Stamp",
    "Nats-Num-Pending",
    "Nats-Last-Sequence",
    "Nats-UpTo-Sequence",
}
"""Headers of an answer that are not part of the message."""


class LogClosed(StoreUnavailable):
    """The log is closed while it is restored: nothing is read from it or appended to it."""

    def __init__(self) -> None:
        super().__init__(
            "the log is closed: it is being restored, or that was broken off; `./run log restore --yes` finishes it"
        )


class LogNotSetUp(StoreUnavailable):
    """The log has no id yet: the set-up step has not run."""


@dataclass(frozen=True)
class Entry:
    """One message of the log as it stands there, readable or not."""

    position: int
    subject: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class LogState:
    """From where to where the log reaches, and how many events it holds; all 0 for an empty one.

    `is_closed`: nobody may read it or append to it, because it is being restored. `servers`: which servers keep a copy
    of it, by name; none where one server is alone. `leader`: the one of them whose copy these numbers are of.
    """

    first: int
    last: int
    count: int
    is_closed: bool = False
    servers: tuple[str, ...] = ()
    leader: str = ""

    @property
    def copies(self) -> int:
        """How often the log is kept."""
        return max(1, len(self.servers))

    @property
    def is_whole(self) -> bool:
        """Does it hold every position from 1 to its last?"""
        return self.count == self.last and (self.count == 0 or self.first == 1)


class JetStreamLog:
    """The log, for whoever reads all of it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def epoch(self) -> str:
        """The id that this log was given when it was made. Raises LogNotSetUp, StoreUnavailable."""
        found = await self._entries(EPOCH_GET, None)
        if not found:
            raise LogNotSetUp("the log has no id yet; run `python -m chassis.setup`")
        return found[0].body.decode()

    async def state(self) -> LogState:
        """What the stream as a whole holds, as the server that leads it tells. Raises as `epoch` does."""
        with _named_silence():
            answer = await self.connection.ask(STREAM_INFO, b"", timeout_s=TIMEOUT_S)
        told = cast(dict[str, Any], json.loads(answer.data))
        if "error" in told:
            raise LogNotSetUp(f"there is no log: {told['error'].get('description')}")
        state, config = told["state"], told["config"]
        return LogState(
            int(state["first_seq"]),
            int(state["last_seq"]),
            int(state["messages"]),
            is_closed(config),
            *_servers(told.get("cluster") or {}),
        )

    async def end(self) -> int:
        """The position of the last event that was ever stored; 0 for an empty log. Raises as `epoch` does."""
        return (await self.state()).last

    async def read(self, after: int, most: int = BATCH) -> list[Entry]:
        """The entries behind this position, in order; none at the end. Raises StoreUnavailable."""
        return await self._entries(DIRECT_GET, {"seq": after + 1, "batch": most, "max_bytes": BATCH_BYTES_MAX})

    async def history(self, key: WorkflowKey) -> list[Entry]:
        """Every entry of one workflow, in no certain order. Raises StoreUnavailable."""
        return await self._entries(DIRECT_GET, {"multi_last": [history_subject(key)]})

    async def _entries(self, subject: str, wanted: Mapping[str, Any] | None) -> list[Entry]:
        """What a direct get answers: a batch that ends with a status, or without a wish the one message itself."""
        payload = b"" if wanted is None else json.dumps(wanted).encode()
        with _named_silence():
            answers = await self.connection.ask_all(
                subject, payload, until=lambda one: wanted is None or not _is_entry(one), timeout_s=TIMEOUT_S
            )
        end = answers[-1].headers or {}
        if not _is_entry(answers[-1]) and end.get(STATUS) not in ("204", "404"):
            raise StoreUnavailable(f"the log answered {end.get(STATUS)} {end.get('Description', '')}")
        return [_entry(answer) for answer in answers if _is_entry(answer)]


def is_closed(config: Mapping[str, Any]) -> bool:
    """Is a stream of this configuration closed (chassis/topology.py)?"""
    return bool(config.get("subject_transform"))


def _servers(cluster: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Where the log is kept, and the leader; neither where that is one server alone, as that needs no name."""
    others = cast(list[dict[str, Any]], cluster.get("replicas") or [])
    leader = str(cluster.get("leader") or "") if others else ""
    return tuple(name for name in (leader, *(str(one["name"]) for one in others)) if name), leader


@contextmanager
def _named_silence() -> Generator[None]:
    try:
        yield
    except NoAnswer as silent:
        raise StoreUnavailable(str(silent)) from silent


def _is_entry(answer: Msg) -> bool:
    """Is this a message of the log, whatever its own headers say? Only those have a sequence."""
    return "Nats-Sequence" in (answer.headers or {})


def _entry(answer: Msg) -> Entry:
    headers = answer.headers or {}
    own = {name: value for name, value in headers.items() if name not in ADDED_BY_SERVER}
    return Entry(int(headers["Nats-Sequence"]), headers["Nats-Subject"], own, answer.data)
