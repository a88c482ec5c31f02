"""The shape of the status. What cannot be told at the moment is null, and `trouble` says why."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from contracts.presence import HEARD_WITHIN_S


class ProcessTold(BaseModel):
    """One process, in its own words."""

    worker: Annotated[str, Field(description="Its name, as claims and the attempts of a workflow have it.")]
    host: Annotated[str, Field(description="The machine or container that it runs on.")]
    started_at: datetime
    heard_at: Annotated[datetime, Field(description="When it was last heard, by the gateway's clock.")]
    ready: Annotated[bool, Field(description="Whether all its parts are in order.")]
    parts: Annotated[
        dict[str, str],
        Field(description="What it checks of itself: `ok`, or a sentence about what is wrong."),
    ]
    slots: Annotated[int | None, Field(description="How many deliveries it can hold; null where it is no stage.")]
    busy: Annotated[int | None, Field(description="How many deliveries it holds; null where it is no stage.")]


class ServiceTold(BaseModel):
    """A service and its processes."""

    service: Annotated[str, Field(description="`gateway`, `research`, `writer`, `illustrator` or `projector`.")]
    processes: Annotated[
        list[ProcessTold], Field(description=f"Those that were heard within the last {HEARD_WITHIN_S:.0f} s, by name.")
    ]


class StageTold(BaseModel):
    """What waits for a stage, as its consumer sees it. The numbers are null where it has no consumer."""

    stage: str
    waiting: Annotated[int | None, Field(description="Events that were not delivered to any process yet.")]
    in_hand: Annotated[int | None, Field(description="Events that processes hold, or that wait for their next try.")]
    redelivered: Annotated[int | None, Field(description="Of those in hand: delivered more than once.")]
    free_slots: Annotated[int | None, Field(description="Slots of its processes that wait for an event.")]


class ReplicaTold(BaseModel):
    """A copy of the log, on one server of the cluster."""

    server: Annotated[str, Field(description="What the server calls itself.")]
    is_leader: Annotated[bool, Field(description="Whether it takes the events in; the others follow it.")]
    is_current: Annotated[bool, Field(description="Whether it has what the leader has.")]
    is_there: Annotated[bool, Field(description="Whether the leader hears from it.")]
    lag: Annotated[int, Field(description="How many changes of the log it lacks.")]


class LogTold(BaseModel):
    """How much the log holds."""

    events: int
    bytes: int
    last_position: Annotated[int, Field(description="The position of the last event.")]
    bytes_max: Annotated[
        int | None, Field(description="What it may hold; a full log takes no requests in. Null: it is not bounded.")
    ]
    replicas: Annotated[
        list[ReplicaTold], Field(description="The copies that a cluster keeps; none where one server is alone.")
    ] = []


class ProjectionTold(BaseModel):
    """How far the read tables have come."""

    position: Annotated[int, Field(description="They contain the log up to this position.")]
    lag: Annotated[int | None, Field(description="How many events of the log they lack; null without the log.")]
    held: Annotated[int, Field(description="How many workflows they hold back; `GET /quarantine` says which and why.")]
    moved_at: Annotated[datetime, Field(description="When an event was last applied.")]
    generation: Annotated[int, Field(description="1, and one more for each rebuild.")]


class Status(BaseModel):
    """How Pressroom is at this moment."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "services": [
                        {
                            "service": "writer",
                            "processes": [
                                {
                                    "worker": "writer@press-1:4711",
                                    "host": "press-1",
                                    "started_at": "2026-11-22T09:00:00.123456Z",
                                    "heard_at": "2026-11-22T10:00:12.345678Z",
                                    "ready": True,
                                    "parts": {"nats": "ok", "consumer": "ok"},
                                    "slots": 16,
                                    "busy": 2,
                                }
                            ],
                        },
                        {"service": "illustrator", "processes": []},
                    ],
                    "stages": [
                        {"stage": "writer", "waiting": 0, "in_hand": 2, "redelivered": 0, "free_slots": 14},
                        {"stage": "illustrator", "waiting": 7, "in_hand": 0, "redelivered": 0, "free_slots": 0},
                    ],
                    "log": {
                        "events": 5120,
                        "bytes": 10485760,
                        "last_position": 5120,
                        "bytes_max": 4294967296,
                        "replicas": [
                            {"server": "pressroom-1", "is_leader": True, "is_current": True, "is_there": True, "lag": 0}
                        ],
                    },
                    "projection": {
                        "position": 5120,
                        "lag": 0,
                        "held": 0,
                        "moved_at": "2026-11-22T10:00:11.987654Z",
                        "generation": 1,
                    },
                    "trouble": ["No process of the service illustrator was heard within the last 15 s."],
                }
            ]
        }
    )

    services: Annotated[list[ServiceTold] | None, Field(description="Null without a connection to NATS.")]
    stages: Annotated[list[StageTold] | None, Field(description="Null without a connection to NATS.")]
    log: Annotated[LogTold | None, Field(description="Null where NATS does not tell it.")]
    projection: Annotated[ProjectionTold | None, Field(description="Null where Postgres does not tell it.")]
    trouble: Annotated[list[str], Field(description="What is wrong, in sentences; empty where nothing is.")]
