"""The lookout: asks everything at once how it is, and tells what it finds, whoever does not answer.

roll (who spoke) + JetStream (what waits, how full) + Postgres (how far) ──within 2 s──> status
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from typing import TypeVar

from chassis.connection import Connection
from chassis.database import DatabaseNotSetUp, DatabaseUnavailable, DataRefused
from chassis.event_store import NotAllowed, StoreUnavailable
from chassis.standing import LogStanding, StageStanding, log_standing, stage_standing, stored_at
from contracts.services import SERVICES, STAGES
from services.gateway import troubles
from services.gateway.library import Library, Row
from services.gateway.roll import Heard, Roll
from services.gateway.status_shapes import LogTold, ProcessTold, ProjectionTold, ServiceTold, StageTold, Status

PATIENCE_S = 2.0
"""For all of it together: what has not answered by then is told as not answering."""

NO_CONNECTION = "There is no connection to NATS: neither the processes nor the stages nor the log can be told."

T = TypeVar("T")


@dataclass(frozen=True)
class Untold:
    """What could not be told, and why: a sentence."""

    why: str


Stages = dict[str, StageStanding | Untold]


class Lookout:
    """Looks when it is asked to. Nothing that is away keeps it from telling the rest."""

    def __init__(self, connection: Connection, library: Library, roll: Roll) -> None:
        self._connection, self._library, self._roll = connection, library, roll

    async def look(self) -> Status:
        """The status, within PATIENCE_S."""
        until = asyncio.get_running_loop().time() + PATIENCE_S
        if not self._connection.is_up:
            row = await self._projection(until)
            return _status(None, None, Untold(NO_CONNECTION), row, listens_s=0, behind_s=None)
        log, stages, row = await asyncio.gather(
            _told("The log", log_standing(self._connection, timeout_s=PATIENCE_S), until),
            self._stages(until),
            self._projection(until),
        )
        services = [_service(service, self._roll.there(service)) for service in SERVICES]
        behind_s = await self._behind_s(log, row, until)
        return _status(services, stages, log, row, listens_s=self._roll.listens_s, behind_s=behind_s)

    async def _stages(self, until: float) -> Stages:
        asking = [
            _told(
                f"What waits for the stage {stage}",
                stage_standing(self._connection, stage, timeout_s=PATIENCE_S),
                until,
            )
            for stage in STAGES
        ]
        return dict(zip(STAGES, await asyncio.gather(*asking), strict=True))

    async def _projection(self, until: float) -> Row | Untold:
        try:
            async with asyncio.timeout_at(until):
                return await self._library.projection()
        except DatabaseNotSetUp:
            return Untold("The read tables are not there yet, or not as this version of Pressroom has them.")
        except (DatabaseUnavailable, DataRefused, TimeoutError):  # whose own words may tell where Postgres is
            return Untold("The read tables do not answer: Postgres is away, or takes too long.")

    async def _behind_s(self, log: LogStanding | Untold, row: Row | Untold, until: float) -> float | None:
        """How old the oldest event is that the tables lack; None where they lack none, or nobody can tell."""
        if isinstance(log, Untold) or isinstance(row, Untold) or row["position"] >= log.last_position:
            return None
        asking = stored_at(self._connection, row["position"] + 1, timeout_s=PATIENCE_S)
        stored = await _told("The oldest event that the read tables lack", asking, until)
        return None if stored is None or isinstance(stored, Untold) else (log.told_at - stored).total_seconds()


async def _told(what: str, asking: Awaitable[T], until: float) -> T | Untold:
    """What JetStream answers, or why it does not."""
    try:
        async with asyncio.timeout_at(until):
            return await asking
    except TimeoutError:
        return Untold(f"{what} cannot be told: NATS did not answer within {PATIENCE_S:g} s.")
    except (StoreUnavailable, NotAllowed) as wrong:
        return Untold(f"{what} cannot be told: {wrong}.")


# ---------------------------------------------------------------- what is told


def _status(
    services: list[ServiceTold] | None,
    stages: Stages | None,
    log: LogStanding | Untold,
    row: Row | Untold,
    *,
    listens_s: float,
    behind_s: float | None,
) -> Status:
    log_told = None if isinstance(log, Untold) else LogTold.model_validate(asdict(log))
    projection = None if isinstance(row, Untold) else _projection(row, log_told)
    untold = [part.why for part in (log, *(stages or {}).values(), row) if isinstance(part, Untold)]
    wrong = [
        *untold,
        *troubles.of_services(services or [], listens_s=listens_s),
        *(troubles.of_log(log_told) if log_told else ()),
        *(troubles.of_projection(projection, behind_s=behind_s) if projection else ()),
    ]
    return Status(
        services=services,
        stages=None if stages is None else [_stage(stage, standing) for stage, standing in stages.items()],
        log=log_told,
        projection=projection,
        trouble=troubles.told(wrong),
    )


def _service(service: str, there: list[Heard]) -> ServiceTold:
    return ServiceTold(service=service, processes=[_process(heard) for heard in there])


def _process(heard: Heard) -> ProcessTold:
    told = heard.presence
    return ProcessTold(
        worker=told.worker,
        host=told.host,
        started_at=told.started_at,
        heard_at=heard.at,
        ready=told.is_ready,
        parts=told.parts,
        slots=told.slots,
        busy=told.busy,
    )


def _stage(stage: str, standing: StageStanding | Untold) -> StageTold:
    if isinstance(standing, Untold):
        return StageTold(stage=stage, waiting=None, in_hand=None, redelivered=None, free_slots=None)
    return StageTold(stage=stage, **asdict(standing))


def _projection(row: Row, log: LogTold | None) -> ProjectionTold:
    """The tables may have come further since the log was asked: then they lack nothing."""
    lag = None if log is None else max(0, log.last_position - row["position"])
    return ProjectionTold.model_validate({**row, "lag": lag})
