"""12: memory, files and threads of every process are back near their baseline when the faults are over."""

from collections.abc import Iterator

from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.record import Record
from chaos.checker.shapes import Resources

RULE = "memory, files and threads are back at their baseline"

MIB = 1024**2

MEMORY_GROWTH_MAX = 128 * MIB
"""Of one process: what Python keeps of a burst of large answers, and the servers of what they have cached."""

STORE_GROWTH_MAX = 512 * MIB
"""SeaweedFS keeps what it was given in memory for a while: 150 MiB behind two hundred pictures."""

FILES_GROWTH_MAX = 48
"""Connections that are kept open for the next request, and the files of what was stored since."""

THREADS_GROWTH_MAX = 40
"""asyncio keeps the threads of its pool (32 at most), a server a few for each core."""


NOT_OURS = {"stand-in"}
"""The model is no part of the system: it draws pictures, and keeps a list of all calls."""


def check(record: Record) -> Finding:
    """Each process before and after; one that is new in the end is held against no baseline."""
    told = [one for one in record.resources if one.process not in NOT_OURS]
    before = {one.process: one for one in told if one.when == "before"}
    after = [one for one in told if one.when == "after"]
    violations = [
        Violation(f"{one.process}: {what}", [_told(before[one.process]), _told(one)])
        for one in after
        if one.process in before
        for what in _grown(before[one.process], one)
    ]
    if not after or not before:
        violations.append(Violation("there is no baseline, or nothing to hold against it"))
    return finding(12, RULE, violations, processes=len([one for one in after if one.process in before]))


def _grown(before: Resources, after: Resources) -> Iterator[str]:
    if after.rss_bytes - before.rss_bytes > (STORE_GROWTH_MAX if after.process == "s3" else MEMORY_GROWTH_MAX):
        yield f"its memory grew by {(after.rss_bytes - before.rss_bytes) / MIB:.0f} MiB"
    if after.files - before.files > FILES_GROWTH_MAX:
        yield f"it holds {after.files - before.files} files more"
    if after.threads - before.threads > THREADS_GROWTH_MAX:
        yield f"it runs {after.threads - before.threads} threads more"


def _told(one: Resources) -> str:
    return f"{one.when}: pid {one.pid}, {one.rss_bytes / MIB:.0f} MiB, {one.files} files, {one.threads} threads"
