"""12: memory, files, threads, tasks and queues are back at their baseline in the end; no queue was ever fuller than it
may be.
"""

from collections.abc import Iterator, Mapping, Sequence

from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.record import Record
from chaos.checker.shapes import Load, Queue, Resources
from contracts.services import SERVICES

RULE = "memory, files, threads, tasks and queues are back at their baseline, and no queue exceeds its bound"

MIB = 1024**2

MEMORY_GROWTH_MAX = 128 * MIB
"""Of one process: what Python keeps of a burst of large answers, and the servers of what they have cached."""

STORE_GROWTH_MAX = 512 * MIB
"""SeaweedFS keeps what it was given in memory for a while: 150 MiB behind two hundred pictures."""

FILES_GROWTH_MAX = 48
"""Connections that are kept open for the next request, and the files of what was stored since."""

THREADS_GROWTH_MAX = 40
"""asyncio keeps the threads of its pool (32 at most), a server a few for each core."""

TASKS_GROWTH_MAX = 8
"""What comes and goes at rest as well: a look after the log's majority, a pull that is made again, a question."""

NOT_OURS = {"stand-in"}
"""The model is no part of the system: it draws pictures, and keeps a list of all calls."""


def check(record: Record) -> Finding:
    """Each process before and after, and each sample between.

    A process that was started anew has no baseline of its own. It is held against that of the process which had its
    name, else against one of its service: those were noted when they had done as good as nothing, and a process that
    has nothing to do takes about as much at whatever age.
    """
    told = [one for one in record.resources if one.process not in NOT_OURS]
    before = {one.process: one for one in told if one.when == "before"}
    compared = [(was, one) for one in told if one.when == "after" and (was := _baseline(before, one))]
    samples = [one for one in told if one.load]
    violations = [
        Violation(f"{one.process}: {what}", _both(was, one)) for was, one in compared for what in _grown(was, one)
    ]
    violations += [Violation(f"{one.process}: {what}", [_told(one)]) for one in samples for what in _overfull(one)]
    violations += _silent(told)
    if not compared:
        violations.append(Violation("there is no baseline, or nothing to hold against it"))
    return finding(12, RULE, violations, processes=len(compared), samples=len(samples))


def _baseline(before: Mapping[str, Resources], one: Resources) -> Resources | None:
    alike = [was for was in before.values() if _service(was) == _service(one)]
    return before.get(one.process) or next(iter(alike), None)


def _service(one: Resources) -> str:
    """`writer`, of the process `writer-1`."""
    return one.process.rpartition("-")[0] or one.process


# ---------------------------------------------------------------- at rest


def _grown(before: Resources, after: Resources) -> Iterator[str]:
    if after.rss_bytes - before.rss_bytes > (STORE_GROWTH_MAX if after.process == "s3" else MEMORY_GROWTH_MAX):
        yield f"its memory grew by {(after.rss_bytes - before.rss_bytes) / MIB:.0f} MiB"
    if after.files - before.files > FILES_GROWTH_MAX:
        yield f"it holds {after.files - before.files} files more"
    if after.threads - before.threads > THREADS_GROWTH_MAX:
        yield f"it runs {after.threads - before.threads} threads more"
    if before.load and after.load:
        yield from _busier(before.load, after.load)


def _busier(before: Load, after: Load) -> Iterator[str]:
    if after.tasks - before.tasks > TASKS_GROWTH_MAX:
        yield f"it runs {after.tasks - before.tasks} tasks more"
    for name, queue in after.queues.items():
        was = before.queues[name].length if name in before.queues else 0
        if queue.length > was:
            yield f"{name}: {queue.length} are left in it, {was} were before"


def _silent(told: Sequence[Resources]) -> Iterator[Violation]:
    """Processes of services that did not say what they had on their hands, while nothing kept them from it."""
    for one in told:
        if one.when != "during" and _service(one) in SERVICES and one.load is None:
            yield Violation(f"{one.process}: it does not say what it has on its hands", [_told(one)])


# ---------------------------------------------------------------- at any time


def _overfull(one: Resources) -> Iterator[str]:
    for name, queue in _queues(one).items():
        if queue.length > queue.most:
            yield f"{name}: {queue.length} are in it, and {queue.most} may be"


# ---------------------------------------------------------------- telling


def _both(before: Resources, after: Resources) -> list[str]:
    is_anew = [f"pid {after.pid} was started anew; it is held against {before.process} as it was before"]
    return [_told(before), _told(after), *(is_anew if after.pid != before.pid else [])]


def _told(one: Resources) -> str:
    taken = f"{one.rss_bytes / MIB:.0f} MiB, {one.files} files, {one.threads} threads"
    held = "".join(f", {name} {queue.length} of {queue.most}" for name, queue in _queues(one).items())
    tasks = f", {one.load.tasks} tasks" if one.load else ""
    return f"{one.when}: pid {one.pid}, {taken}{tasks}{held}"


def _queues(one: Resources) -> Mapping[str, Queue]:
    return one.load.queues if one.load else {}
