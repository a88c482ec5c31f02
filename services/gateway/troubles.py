"""The troubles: what of all that was found is wrong, in sentences for whoever runs Pressroom. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from contracts.presence import HEARD_WITHIN_S
from services.gateway.status_shapes import LogTold, ProjectionTold, ReplicaTold, ServiceTold

BEHIND_MAX_S = 10.0
"""So old may the oldest event become that the read tables lack: they look every second, and a dead projector's locks
are passed over after 5 s."""

FULL_SHARE = 0.7
"""Of the log's bytes. The rest is time to act: a full log takes no requests in."""

LAG_MAX = 100
"""So many changes may a copy of the log lack: a few are always on their way while events come."""

TROUBLES_MAX = 50
"""Sentences that are told; more help nobody."""


def of_services(services: Iterable[ServiceTold], *, listens_s: float) -> Iterator[str]:
    """`listens_s`: for how long this gateway has been able to hear anybody."""
    for one in services:
        if not one.processes:
            yield _unheard(one.service, listens_s)
        for process in one.processes:
            if not process.ready:
                wrong = "; ".join(f"{part}: {what}" for part, what in process.parts.items() if what != "ok")
                yield f"{process.worker} is not ready: {wrong}."


def _unheard(service: str, listens_s: float) -> str:
    if listens_s < HEARD_WITHIN_S:
        return f"No process of the service {service} was heard yet; this gateway has listened for {listens_s:.0f} s."
    return f"No process of the service {service} was heard within the last {HEARD_WITHIN_S:.0f} s."


def of_log(log: LogTold) -> Iterator[str]:
    """A log that fills up, or lacks copies."""
    yield from of_replicas(log.replicas)
    if log.bytes_max is not None and log.bytes > FULL_SHARE * log.bytes_max:
        share = 100 * log.bytes / log.bytes_max
        yield (
            f"The log is {share:.0f} % full; a full one takes no requests in. "
            f"Give it more room than {log.bytes_max} bytes (PRESSROOM_LOG_BYTES_MAX)."
        )


def of_replicas(replicas: Sequence[ReplicaTold]) -> Iterator[str]:
    """Copies of the log that no event could be saved by, were the others lost now."""
    for one in replicas:
        if not one.is_there:
            yield f"The NATS server {one.server} is away: the log has one copy less meanwhile."
        elif not one.is_current and one.lag > LAG_MAX:
            yield f"The copy of the log on the NATS server {one.server} lags: it lacks {one.lag} changes."
    if replicas and not any(one.is_leader for one in replicas):
        yield "The log has no leader at the moment: it takes nothing in until its servers have chosen one."


def of_projection(projection: ProjectionTold, *, behind_s: float | None) -> Iterator[str]:
    """`behind_s`: how old the oldest event is that the read tables lack; None where they lack none, or nobody knows."""
    if projection.held == 1:
        yield "1 workflow is held back by the read tables; GET /quarantine says why."
    if projection.held > 1:
        yield f"{projection.held} workflows are held back by the read tables; GET /quarantine says why."
    if projection.lag and behind_s is not None and behind_s > BEHIND_MAX_S:
        lacks = "1 event" if projection.lag == 1 else f"{projection.lag} events"
        yield f"The read tables lack {lacks} of the log, the oldest for {behind_s:.0f} s."


def told(sentences: Sequence[str]) -> list[str]:
    """As many as are told, and how many more there are."""
    if len(sentences) <= TROUBLES_MAX:
        return list(sentences)
    return [*sentences[:TROUBLES_MAX], f"And {len(sentences) - TROUBLES_MAX} more."]
