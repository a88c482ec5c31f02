"""Answers: what was paid for is kept on disk from the moment it came until what was made of it stands in the log.

    call ──answer──> kept ──> the work ──> recorded ──> forgotten
                      └──> a later attempt that asks the very same is given it, without a call

One folder for all processes of a stage on a machine, one file an answer. A file is written under another name and then
renamed, so that whoever looks finds the whole of an answer or none. A folder that cannot be used costs nothing but the
protection: the answer is used all the same.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import Field, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import structlog
from pydantic import TypeAdapter
from uuid_utils import uuid7

from chassis.stage import Spoils, WorkFailed
from chassis.telemetry import Seldom
from chassis.usage import told_already, total
from contracts.events import Usage
from contracts.subjects import WorkflowKey
from contracts.works import Work

AGE_MAX_S = 24 * 3600.0
"""Of an answer that nobody came back for: its workflow was given up or called off, and not resumed within a day."""

BYTES_MAX = 1024**3
"""Of all answers in one folder, more or less: some hundred pictures. The oldest go first."""

SWEPT_EVERY_S = 3600.0

THREADS = 2
"""Of their own: the pool that all share may be full of uploads that hang, and an answer is to be safe at once. As many
more wait for the disk: an answer that comes meanwhile does not wait behind them for its place.
"""

log = structlog.get_logger("answers")


class Paid(Protocol):
    """An answer: a dataclass that tells what it used, as Written, Searched and Drawn are."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def usage(self) -> Usage:
        """What the call used."""
        ...


A = TypeVar("A", bound=Paid)
T = TypeVar("T")


async def once(
    call: Callable[[], Awaitable[A]],
    form: type[A],
    *asked: str,
    retell: Callable[[A], Awaitable[None]] | None = None,
) -> A:
    """The answer to what is asked: one that an earlier attempt at the same work left, else that of the call.

    `asked` says all that the answer depends on. `retell` is given a kept answer, for whoever would have heard it come.
    """
    desk = DESK.get()
    return await desk.once(call, form, asked, retell) if desk else await call()


class Answers:
    """The folder of one stage. None: nothing is kept."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._threads = ThreadPoolExecutor(THREADS, "answers") if folder else None
        self._disk = ThreadPoolExecutor(THREADS, "answers-disk") if folder else None
        self._seldom = Seldom()
        self._grown = 0  # bytes since the last sweep

    def desk(self, key: WorkflowKey, work: Work, told: Collection[str] = ()) -> "Desk":
        """The answers for one attempt at this work. `told`: the request ids whose usage stands in the log."""
        place = self._folder / f"{key.owner}.{key.workflow_id}.{work}" if self._folder else None
        return Desk(self, place, told, {"workflow_id": key.workflow_id, "work": str(work)})

    @contextlib.asynccontextmanager
    async def tended(self) -> AsyncGenerator[None]:
        """Meanwhile the folder is swept, now and every hour."""
        sweeping = asyncio.create_task(self._sweep_for_ever())
        try:
            yield
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)

    async def _sweep_for_ever(self) -> None:
        while self._threads:
            await self.apart(self.sweep)
            await asyncio.sleep(SWEPT_EVERY_S)

    async def apart(self, act: Callable[[], T]) -> T:
        """Has it done in a thread, to its end: also where nobody waits for it any more."""
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._threads, act))

    async def keep(self, place: Path, answer: Paid) -> None:
        """Keeps the answer there, and returns when it is safe from a power cut; if that can be done."""
        if await self.apart(lambda: self.write(place, answer)):
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._disk, lambda: self.secure(place)))

    # ------------------------------------------------------------ the files

    def read(self, place: Path, form: type[A]) -> A | None:
        """The answer that is kept there, whole and unharmed, or None."""
        try:
            return TypeAdapter(form).validate_json(_unsealed(place.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as wrong:  # why is not told: it may quote the answer
            log.warning("kept answer unreadable", why=type(wrong).__name__)
            return None

    def write(self, place: Path, answer: Paid) -> bool:
        """Puts the answer there, where it outlives this process. -> whether that could be done"""
        try:
            told = TypeAdapter(type(answer)).dump_json(answer)
            self._put(place, _sealed(told))
        except (OSError, ValueError) as wrong:  # a full disk, a folder that is not ours, a text that is no UTF-8
            self._is_not_kept(wrong)
            return False
        return True

    def secure(self, place: Path) -> None:
        """Waits until what was put there outlives a power cut. It may have been of use already, and be gone."""
        try:
            for path in (place, place.parent, place.parent.parent):
                _sync(path)
        except FileNotFoundError:
            return
        except OSError as wrong:
            self.forget(place)
            self._is_not_kept(wrong)

    def _is_not_kept(self, wrong: OSError | ValueError) -> None:
        why = getattr(wrong, "strerror", None) or type(wrong).__name__
        if self._seldom.allows(why, time.monotonic()):
            log.warning("answer not kept", why=why)

    def forget(self, place: Path) -> None:
        """Removes a file, or a work's whole folder. What cannot be removed now is swept some day."""
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                place.unlink()

    def sweep(self) -> None:
        """Removes what is too old, and the oldest of what is too much."""
        if self._folder is None:
            return
        self._grown, now, kept = 0, time.time(), sorted(_files(self._folder))
        size = sum(file.size for file in kept)
        for file in kept:
            if now - file.written_at > AGE_MAX_S or size > BYTES_MAX:
                self.forget(file.place)
                size -= file.size
        for folder in {file.place.parent for file in kept}:
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()

    def _put(self, place: Path, data: bytes) -> None:
        try:
            _replace(place, data)
        except FileNotFoundError:  # its folder was swept that very moment
            _replace(place, data)
        self._grown += len(data)
        if self._grown > BYTES_MAX // 8:
            self.sweep()


class Desk:
    """The answers of one attempt: those that it is given, and those that earlier attempts at the same work left."""

    def __init__(self, answers: Answers, place: Path | None, told: Collection[str], named: dict[str, str]) -> None:
        self._answers, self._place, self._told, self._named = answers, place, frozenset(told), named
        self._asked = Counter[tuple[str, ...]]()
        self._used = list[Usage]()
        self._last: Path | None = None
        self._failed: WorkFailed | None = None
        self._spoilt: Path | None = None

    @contextlib.contextmanager
    def at_hand(self) -> Generator[None]:
        """Meanwhile, calls of this task and of those that it begins are made at this desk."""
        before = DESK.set(self)
        try:
            yield
        finally:
            DESK.reset(before)

    @property
    def used(self) -> Usage | None:
        """What the answers used that this attempt was given, as far as the log has not told it."""
        return total(*self._used) if self._used else None

    async def once(
        self,
        call: Callable[[], Awaitable[A]],
        form: type[A],
        asked: tuple[str, ...],
        retell: Callable[[A], Awaitable[None]] | None,
    ) -> A:
        """See `once`. Whoever asks the same twice in one attempt wants two answers."""
        place = self._place_for(form, asked)
        answer = await self._kept(place, form)
        if answer is None:
            answer = await self._called(place, call)
        elif retell:
            await retell(answer)
        self._last = place
        if set(answer.usage.request_ids) <= self._told and answer.usage.request_ids:
            return replace(answer, usage=told_already(answer.usage))
        self._used.append(answer.usage)
        return answer

    def judge(self, failed: WorkFailed) -> None:
        """Notes which answers the failure spoils: another attempt wants others in their place.

        A failure of a call says nothing of the answers before it, unless they led to it (a scene that none will draw).
        """
        if failed.spoils is Spoils.ALL_ANSWERS:
            self._spoilt = self._place
        elif failed.spoils is Spoils.LAST_ANSWER and failed is not self._failed:
            self._spoilt = self._last

    async def clear(self, *, is_done: bool) -> None:
        """Forgets the work's answers once it is done, or else those that are spoilt."""
        place = self._place if is_done else self._spoilt
        if place:
            await self._answers.apart(lambda: self._answers.forget(place))

    async def _kept(self, place: Path | None, form: type[A]) -> A | None:
        if place is None:
            return None
        answer = await self._answers.apart(lambda: self._answers.read(place, form))
        if answer is not None:
            log.info("answer kept", what=form.__name__.lower(), **self._named)
        return answer

    async def _called(self, place: Path | None, call: Callable[[], Awaitable[A]]) -> A:
        try:
            answer = await call()
        except WorkFailed as failed:
            self._failed = failed
            raise
        if place is None:
            return answer
        answer = replace(answer, usage=_with_id(answer.usage))
        await self._answers.keep(place, answer)
        return answer

    def _place_for(self, form: type[Paid], asked: tuple[str, ...]) -> Path | None:
        """One file for each thing that is asked, and one more for each time that it is asked again."""
        told = (form.__name__, *asked)
        self._asked[told] += 1
        digest = hashlib.sha256(json.dumps([*told, self._asked[told]]).encode()).hexdigest()
        return self._place / digest if self._place else None


DESK: ContextVar[Desk | None] = ContextVar("DESK", default=None)
"""Where the running attempt's answers are kept: so neither a stage nor its tools have to hand it on."""


@dataclass(frozen=True, order=True)
class _File:
    written_at: float
    size: int
    place: Path


def _files(folder: Path) -> Generator[_File]:
    """All files of all works, as far as nobody removes them meanwhile."""
    for place in folder.glob("*/*"):
        with contextlib.suppress(OSError):
            told = place.stat()
            yield _File(told.st_mtime, told.st_size, place)


def _sealed(told: bytes) -> bytes:
    """With a first line by which damage is noticed."""
    return hashlib.sha256(told).hexdigest().encode() + b"\n" + told


def _unsealed(data: bytes) -> bytes:
    """What was sealed. Raises ValueError where anything of it has changed."""
    _, _, told = data.partition(b"\n")
    if data != _sealed(told):
        raise ValueError("it is not what was written")
    return told


def _replace(place: Path, data: bytes) -> None:
    """Puts the file there in one step. It is its owner's alone. Half a file behind a power cut is known by its seal."""
    place.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    number, draft = tempfile.mkstemp(dir=place.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
        Path(draft).replace(place)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _with_id(usage: Usage) -> Usage:
    """Every call can be named, also where its provider names none: so it is told once."""
    return usage if usage.request_ids else usage.model_copy(update={"request_ids": (f"own-{uuid7()}",)})
