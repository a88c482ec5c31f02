"""The log, up to where the tables stand: all of it in order, and each workflow's history; patient with replicas."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from chassis.jetstream_log import Entry, JetStreamLog
from chassis.jetstream_store import LAG_PAUSES_S
from contracts.subjects import TOKEN, WorkflowKey, whose
from contracts.workflow import EVENTS_MAX
from services.projector.progress import Told

EVENTS_A_READ = 256
WORKFLOWS_A_READ = 200
HISTORIES_SIDE_BY_SIDE = 16
"""Enough for the server to be busy while this process folds, few enough to leave it to the stages."""

Histories = dict[WorkflowKey, list[Entry]]
"""Every entry of some workflows, in order of position."""


@dataclass(frozen=True)
class Span:
    """Some neighbouring positions, never none, and the entries that stand there."""

    positions: range
    entries: Mapping[int, Entry]


@dataclass(frozen=True)
class LogReader:
    """Reads the log up to `position`. `end`: where the log ends, which may be before or behind."""

    log: JetStreamLog
    position: int
    end: int

    async def spans(self) -> AsyncGenerator[Span]:
        """The log in order, without a gap between the spans."""
        after, is_over = 0, False
        while after < self.position:
            found = [] if is_over else await self._read(after)
            is_over = not found
            # A read may bring less than there is, and what it brings may lie behind a hole.
            upto = min(self.position, after + EVENTS_A_READ, found[-1].position if found else self.position)
            yield Span(range(after + 1, upto + 1), {one.position: one for one in found if one.position <= upto})
            after = upto

    async def _read(self, after: int) -> list[Entry]:
        return await _patiently(
            lambda: self.log.read(after, EVENTS_A_READ), lambda found: bool(found) or after >= self.end
        )

    async def histories(self, known: Mapping[WorkflowKey, int], *, told: Told) -> AsyncGenerator[Histories]:
        """The histories of all these workflows, some at a time. `known`: with how many events the log has each.

        `told` hears of the log's being read once more, for those that cannot be asked for.
        """
        scanned = await self._scanned({key for key, events in known.items() if not _is_asked_for(key, events)}, told)
        for keys in _batches(known, WORKFLOWS_A_READ):
            found = scanned | await self._asked_for({key: known[key] for key in keys if key not in scanned})
            yield {key: found[key] for key in keys}

    async def _scanned(self, keys: set[WorkflowKey], told: Told) -> Histories:
        """The histories that no request reads, by reading the whole log once more. They are rare and illegal."""
        found: Histories = {key: [] for key in keys}
        if keys:
            async for span in self.spans():
                for entry in span.entries.values():
                    found.get(whose(entry.subject), []).append(entry)
                told(span.positions[-1], self.position)
        return found

    async def _asked_for(self, known: Mapping[WorkflowKey, int]) -> Histories:
        found: Histories = {}
        for keys in _batches(known, HISTORIES_SIDE_BY_SIDE):
            histories = await asyncio.gather(*(self._history(key, known[key]) for key in keys))
            found |= zip(keys, histories, strict=True)
        return found

    async def _history(self, key: WorkflowKey, events: int) -> list[Entry]:
        async def read() -> list[Entry]:
            return [entry for entry in await self.log.history(key) if entry.position <= self.position]

        found = await _patiently(read, lambda found: len(found) >= events)
        return sorted(found, key=lambda entry: entry.position)


def _is_asked_for(key: WorkflowKey, events: int) -> bool:
    """Can one request read its history? Not of a name that breaks the rules, nor above the server's limit."""
    return events <= EVENTS_MAX and all(TOKEN.fullmatch(name) for name in key)


async def _patiently(
    read: Callable[[], Awaitable[list[Entry]]], is_whole: Callable[[Sequence[Entry]], bool]
) -> list[Entry]:
    """What is read; a few times where something is missing: a replica may lag, and what it lacks is not lost."""
    for pause in LAG_PAUSES_S:
        found = await read()
        if is_whole(found):
            return found
        await asyncio.sleep(pause)
    return await read()


def _batches(keys: Iterable[WorkflowKey], size: int) -> Iterator[list[WorkflowKey]]:
    rest = iter(keys)
    while batch := list(islice(rest, size)):
        yield batch
