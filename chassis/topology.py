"""The topology, declared: the stream, the stages' consumers, and who may do what on NATS.

Nothing here talks to a server. chassis/setup.py brings a server to this state; the services only rely on it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis import log_copies
from chassis.connection import inbox_of
from chassis.jetstream_log import BUCKET, BUCKET_SUBJECTS, EPOCH_GET, STREAM_INFO
from chassis.jetstream_store import DIRECT_GET, STREAM
from chassis.standing import consumer_info
from contracts import subjects
from contracts.events import WorkflowCancelled
from contracts.services import GATEWAY, PROJECTOR, STAGES
from contracts.workflow import wakes

SET_UP = "set-up"

ANSWER_S = 60
"""Within so many seconds whoever is asked has to answer; later the server lets no answer through."""

USERS = (SET_UP, GATEWAY, *STAGES, PROJECTOR)
"""Who has a user of its own on NATS: the set-up step, and each service."""

CLUSTER, ROUTES = "pressroom", "routes"
"""What the servers call themselves, with their number where there are several; and whom they meet each other as."""

MESSAGE_BYTES_MAX = 1024**2
"""Of one event with its headers: nats-server's own default for a payload."""

BUCKET_BYTES_MAX = 1024**2
"""It holds one short text."""

ACKS_PENDING_MAX = 10_000
"""A delayed nak counts as pending, so a small number would stall the whole stage behind a few retries."""

PULLS_WAITING_MAX = 10_000
"""Above all slots of all processes of a stage: a pull beyond it is refused."""


DUPLICATE_WINDOW_MIN_NS = 100_000_000
"""Of a closed log. Events with one message id that were stored far apart come back side by side."""


def stream(*, bytes_max: int, replicas: int = 1) -> dict[str, Any]:
    """The stream that is the log, as JetStream's API takes it."""
    return {
        "name": STREAM,
        "description": "The log of Pressroom: every event of every workflow",
        "subjects": [subjects.LOG_SUBJECTS],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "discard_new_per_subject": True,
        "max_msgs_per_subject": 1,
        "max_bytes": bytes_max,
        "max_msg_size": MESSAGE_BYTES_MAX,
        "num_replicas": replicas,
        "allow_direct": True,
        "republish": {"src": subjects.REPUBLISH_FROM, "dest": subjects.REPUBLISH_TO},
    }


def closed_stream(*, bytes_max: int, replicas: int = 1) -> dict[str, Any]:
    """The same stream while it is restored: nobody can append, or read what is only half there.

    A service that tries is told that nobody listens, which is the log's being away, and waits. Only set-up may publish
    on the subjects that the stream takes meanwhile; it stores each under the event's own.
    """
    declared = stream(bytes_max=bytes_max, replicas=replicas)
    del declared["republish"]  # these events were heard of when they were new
    return {
        **declared,
        "subjects": [subjects.RESTORED],
        "subject_transform": {"src": subjects.RESTORED, "dest": ">"},
        "allow_direct": False,
        "duplicate_window": DUPLICATE_WINDOW_MIN_NS,
    }


def bucket(*, replicas: int = 1) -> dict[str, Any]:
    """The bucket beside the log, which holds the log's own id, as JetStream's API takes it."""
    return {
        "name": BUCKET,
        "description": "Facts about the log of Pressroom: its epoch",
        "subjects": [BUCKET_SUBJECTS],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "max_msgs_per_subject": 1,
        "max_bytes": BUCKET_BYTES_MAX,
        "num_replicas": replicas,
        "allow_direct": True,
        "deny_delete": True,
    }


def consumer(stage: str, *, ack_wait_s: float) -> dict[str, Any]:
    """The durable consumer of one stage, as JetStream's API takes it."""
    events = sorted({subjects.every(event) for kind in STAGES[stage] for event in wakes(kind)})
    return {
        "durable_name": stage,
        "name": stage,
        "description": f"Wakes the {stage} stage",
        "filter_subjects": events,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": int(ack_wait_s * 1e9),
        "max_deliver": -1,
        "max_ack_pending": ACKS_PENDING_MAX,
        "max_waiting": PULLS_WAITING_MAX,
        "replay_policy": "instant",
    }


def consumer_create(stage: str) -> str:
    """Where JetStream makes this stage's consumer, and no other."""
    return f"$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.{stage}"


@dataclass(frozen=True)
class Rights:
    """What one user may publish and listen to. `answers`: also answer, once, who asks it something."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    answers: bool = False


def rights(user: str) -> Rights:
    """The rights of this user. Only set-up may change streams or purge; a stage may make its own consumer again."""
    answers = f"{inbox_of(user)}.>"
    if user == SET_UP:
        return Rights(("$JS.API.>", BUCKET_SUBJECTS, subjects.RESTORED), (answers,))
    presence = subjects.presence(user)
    if user == GATEWAY:
        status = (STREAM_INFO, *(consumer_info(stage) for stage in STAGES))
        return Rights(
            (subjects.may_write(GATEWAY), DIRECT_GET, presence, subjects.ROLL_CALL, subjects.REFOLD, *status),
            (answers, subjects.REPUBLISH_TO, subjects.EVERY_PRESENCE, subjects.ROLL_CALL),
        )
    if user == PROJECTOR:
        return Rights(
            (DIRECT_GET, EPOCH_GET, STREAM_INFO, presence, *log_copies.NEEDED),
            (answers, subjects.LIVE_EVENTS, subjects.ROLL_CALL, subjects.REFOLD),
            answers=True,
        )
    return Rights(
        (
            presence,
            subjects.may_write(user),
            subjects.may_stream(user),
            f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{user}",
            consumer_info(user),
            consumer_create(user),
            f"$JS.ACK.{STREAM}.{user}.>",
            DIRECT_GET,
        ),
        (answers, subjects.every_live(WorkflowCancelled), subjects.ROLL_CALL),
    )


@dataclass(frozen=True)
class Variable:
    """A password that nats-server itself takes from this variable of its environment."""

    name: str


@dataclass(frozen=True)
class Node:
    """One server of a cluster that keeps the log together: its number from 1, and where the servers meet each other.

    `routes`: the port of each of them on this machine, its own included, by number. `password`: theirs alone.
    `told_as`: where the servers tell each other that this one is, as host:port; None: where it listens.
    """

    number: int
    routes: Mapping[int, int]
    password: str
    told_as: str | None = None


def server_config(
    passwords: Mapping[str, str | Variable],
    *,
    port: int,
    store_dir: Path,
    store_bytes_max: int,
    host: str = "127.0.0.1",
    node: Node | None = None,
) -> str:
    """A nats-server configuration for one server, with every user and its rights.

    `passwords`: by user name, one for each of USERS. `store_bytes_max`: of everything that the server may store.
    `node`: which server of a cluster it is; None where it is the only one.
    """
    users = "\n".join(_user(user, passwords[user]) for user in USERS)
    return f"""\
# Written by Pressroom from its declared topology; changes made here are lost.
server_name: {CLUSTER if node is None else f"{CLUSTER}-{node.number}"}
listen: "{host}:{port}"
max_payload: {MESSAGE_BYTES_MAX}
jetstream {{
  store_dir: {json.dumps(str(store_dir))}
  sync_interval: always  # the default syncs every two minutes: a power cut would lose acked events
  max_file_store: {store_bytes_max}
  max_memory_store: 67108864
}}
authorization {{
  users: [
{users}
  ]
}}
{"" if node is None else _cluster(node)}"""


def _cluster(node: Node) -> str:
    """Where this server meets the others, on this machine alone."""
    routes = [f"nats-route://{ROUTES}:{node.password}@127.0.0.1:{port}" for port in node.routes.values()]
    return f"""\
cluster {{
  name: {CLUSTER}
  listen: "127.0.0.1:{node.routes[node.number]}"
  authorization {{ user: {ROUTES}, password: {json.dumps(node.password)} }}
  routes: {json.dumps(routes)}
  no_advertise: true  # clients know every server by their own setting, whatever way leads there from where they are
{"" if node.told_as is None else f"  advertise: {json.dumps(node.told_as)}"}
}}
"""


def _user(user: str, password: str | Variable) -> str:
    answers = f"\n        allow_responses: {{ max: 1, expires: {ANSWER_S}s }}" if rights(user).answers else ""
    word = f"${password.name}" if isinstance(password, Variable) else json.dumps(password)
    return f"""\
    {{
      user: {json.dumps(user)}
      password: {word}
      permissions: {{
        publish: {{ allow: {json.dumps(rights(user).publish)} }}
        subscribe: {{ allow: {json.dumps(rights(user).subscribe)} }}{answers}
      }}
    }}"""
