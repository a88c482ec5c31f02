"""How the log and the stages' consumers stand, as JetStream itself tells it: what waits, how full it is."""

import json
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from chassis.connection import Connection, NoAnswer
from chassis.event_store import StoreUnavailable
from chassis.jetstream_log import STREAM_INFO, LogNotSetUp
from chassis.jetstream_store import DIRECT_GET, STREAM
from chassis.majority import has_majority
from contracts.subjects import WorkflowKey, history

NOT_FOUND = 404

HEARD_WITHIN_S = 10.0
"""A replica that its leader has not heard for so long is away: usual is once a second. One that it has never heard is
told as heard 0 s ago."""


class ConsumerMissing(StoreUnavailable):
    """The stage has no consumer: the set-up step has not run, or somebody has deleted it."""


@dataclass(frozen=True, kw_only=True)
class StageStanding:
    """A stage as its consumer sees it: events that wait, events in processes' hands, and slots that ask for one.

    `redelivered`: of those in hand, how many were given out more than once.
    """

    waiting: int
    in_hand: int
    redelivered: int
    free_slots: int


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A copy of the log, by the server that keeps it. `lag`: how many changes of the log it lacks.

    `is_current`: it has what the leader has, as far as that one heard lately. `is_there`: the leader hears from it.
    """

    server: str
    is_leader: bool
    is_current: bool
    is_there: bool
    lag: int


@dataclass(frozen=True, kw_only=True)
class LogStanding:
    """How much the log holds, and may hold at most (None: it is not bounded), at this moment of its server's clock.

    `replicas`: the copies that a cluster keeps, by server; none where one server is alone.
    """

    events: int
    bytes: int
    bytes_max: int | None
    last_position: int
    told_at: datetime
    replicas: tuple[Replica, ...]


def consumer_info(stage: str) -> str:
    """Where JetStream tells how this stage's consumer stands."""
    return f"$JS.API.CONSUMER.INFO.{STREAM}.{stage}"


async def stage_standing(connection: Connection, stage: str, *, timeout_s: float) -> StageStanding:
    """How the stage stands. Raises ConsumerMissing, StoreUnavailable, NotAllowed."""
    told = await _ask(connection, consumer_info(stage), timeout_s)
    with _named_refusals(told, ConsumerMissing(f"the stage {stage} has no consumer; run `python -m chassis.setup`")):
        return StageStanding(
            waiting=int(told["num_pending"]),
            in_hand=int(told["num_ack_pending"]),
            redelivered=int(told["num_redelivered"]),
            free_slots=int(told["num_waiting"]),
        )


async def log_standing(connection: Connection, *, timeout_s: float) -> LogStanding:
    """How the log stands. Raises LogNotSetUp, StoreUnavailable, NotAllowed."""
    told = await _ask(connection, STREAM_INFO, timeout_s)
    with _named_refusals(told, LogNotSetUp("there is no log; run `python -m chassis.setup`")):
        state, bytes_max = told["state"], int(told["config"]["max_bytes"])
        return LogStanding(
            events=int(state["messages"]),
            bytes=int(state["bytes"]),
            bytes_max=bytes_max if bytes_max > 0 else None,
            last_position=int(state["last_seq"]),
            told_at=datetime.fromisoformat(told["ts"]),
            replicas=_replicas(cast(dict[str, Any], told.get("cluster") or {})),
        )


def _replicas(cluster: dict[str, Any]) -> tuple[Replica, ...]:
    """Raises KeyError, TypeError, ValueError for what is told in another way."""
    others = cast(list[dict[str, Any]], cluster.get("replicas") or [])
    if not others and cluster.get("raft_group") is None:  # a server that is alone
        return ()
    leader = cluster.get("leader")
    leading = [Replica(server=leader, is_leader=True, is_current=True, is_there=True, lag=0)] if leader else []
    following = [
        Replica(
            server=other["name"],
            is_leader=False,
            is_current=bool(other["current"]),
            is_there=not other.get("offline", False) and 0 < int(other["active"]) < HEARD_WITHIN_S * 1e9,
            lag=int(other.get("lag", 0)),
        )
        for other in others
    ]
    return tuple(sorted((*leading, *following), key=lambda replica: replica.server))


async def has_history(connection: Connection, key: WorkflowKey, *, timeout_s: float = 3.0) -> bool:
    """Does the log's leader know of this workflow, where the copy of a cluster's server that is read does not?

    A copy may lag, mostly for a moment; where its catching up was cut off for half a minute, and another server is
    tried. A leader that is cut off takes itself for one for longer than it takes the others to choose the next: its no
    is believed only while most copies hear it. Raises StoreUnavailable, NotAllowed.
    """
    if not connection.has_cluster:
        return False
    with _named_silence():
        wanted = json.dumps({"subjects_filter": history(key)}).encode()
        answer = await connection.ask(STREAM_INFO, wanted, timeout_s=timeout_s)
    told = cast(dict[str, Any], json.loads(answer.data))
    with _named_refusals(told, LogNotSetUp("there is no log; run `python -m chassis.setup`")):
        is_known = bool(told["state"].get("subjects"))
    if is_known:
        connection.unserved()
    elif not has_majority(told):
        raise StoreUnavailable("whoever takes itself for the log's leader hears too few of the copies to know")
    return is_known


async def stored_at(connection: Connection, position: int, *, timeout_s: float) -> datetime | None:
    """When the event at this position was stored, by its server's clock; None where there is no such event.

    Good enough to tell how long something waits, and for nothing else: a restore of the log changes it. Raises
    StoreUnavailable, NotAllowed.
    """
    with _named_silence():
        answer = await connection.ask(DIRECT_GET, json.dumps({"seq": position}).encode(), timeout_s=timeout_s)
    headers = answer.headers or {}
    with suppress(ValueError):
        return datetime.fromisoformat(headers["Nats-Time-Stamp"]) if "Nats-Sequence" in headers else None
    return None


async def _ask(connection: Connection, subject: str, timeout_s: float) -> dict[str, Any]:
    with _named_silence():
        answer = await connection.ask(subject, b"", timeout_s=timeout_s)
    return cast(dict[str, Any], json.loads(answer.data))


@contextmanager
def _named_silence() -> Generator[None]:
    try:
        yield
    except NoAnswer as silent:
        raise StoreUnavailable(str(silent)) from silent


@contextmanager
def _named_refusals(told: dict[str, Any], missing: StoreUnavailable) -> Generator[None]:
    """Raises `missing` where JetStream knows of no such thing, StoreUnavailable where it tells something else."""
    refusal = told.get("error")
    if refusal:
        raise missing if refusal.get("code") == NOT_FOUND else StoreUnavailable(str(refusal.get("description")))
    try:
        yield
    except (KeyError, TypeError, ValueError) as odd:
        raise StoreUnavailable("JetStream tells it in a way that is not known here") from odd
