"""The log's own store damaged: rolled back to an older copy, cut short, or with one bit flipped; then restored.

A projector has to notice within a minute and stop, and `./run log restore` has to bring back what the archive holds.
"""

import asyncio
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx2

from chaos.faults.killed import POINT_WITHIN_S, is_anything
from chaos.ground import Ground
from chaos.plan import Step
from chaos.wire.moments import Cuttable, Moment, Point, Trap
from chaos.wire.proxy import until
from chassis.jetstream_log import JetStreamLog
from contracts.services import PROJECTOR
from local.services import ROOT

APPENDS = 20
"""So many events are stored between the copy and the damage."""

NOTICED_WITHIN_S = 60.0
RESTORED_WITHIN_S = 60.0
BLOCKS = "*.blk"
IN_DOUBT = re.compile(r"the log('s event| ends| has| is )")


async def damage(step: Step, ground: Ground) -> None:
    """With the server killed, and nobody to start it again before the store is as the plan wants it."""
    name, how = ground.nats_names()[0], step.choices["how"]
    store, copy = ground.data.path / name / "store", ground.data.path.with_name("store.copy")
    ground.signal(name, signal.SIGSTOP)
    try:
        shutil.copytree(store, copy, dirs_exist_ok=True)
    finally:
        ground.signal(name, signal.SIGCONT)
    if await ground.board.spring(Trap("", Point.STORED, _nothing, APPENDS, is_anything), POINT_WITHIN_S) is None:
        ground.skipped(step, "there was too little work")
        return
    # What no projector had archived would be lost for good, and nobody could know.
    await until(lambda: _is_archived(ground), POINT_WITHIN_S, every_s=0.01)
    with ground.supervisor_held():
        before = ground.signal(name, signal.SIGKILL)
        told = _spoil(store, copy, how)
    ground.fired(step, told)
    await ground.back(name, before)
    await ground.log_answers()
    noticed = await until(lambda: _is_noticed(ground), NOTICED_WITHIN_S, every_s=0.5)
    code, last = await _restore(ground)
    serves = await until(lambda: _serves(ground), RESTORED_WITHIN_S, every_s=0.5)
    words = "the projector has stopped" if noticed else f"nobody noticed within {NOTICED_WITHIN_S:g} s"
    more = "it projects again" if serves else "it does not project"
    ground.healed(step, f"{words}; ./run log restore ended with {code} ({last}); {more}")


async def _is_archived(ground: Ground) -> bool:
    """Whether the archive holds the whole log, as it is at this moment."""
    database = await ground.database()
    try:
        archived = await database.fetchval("SELECT coalesce(max(position), 0) FROM archive.events")
    finally:
        await database.close()
    async with ground.connection() as connection:
        return archived >= await JetStreamLog(connection).end()


def _nothing(_: Moment, __: Cuttable) -> None:
    pass


def _spoil(store: Path, copy: Path, how: str) -> str:
    """-> what was done"""
    if how == "rolled back":
        shutil.rmtree(store)
        shutil.copytree(copy, store)
        return f"the log is {APPENDS} events or more older"
    block = max(store.rglob(BLOCKS), key=lambda path: path.stat().st_size)
    data = bytearray(block.read_bytes())
    if how == "truncated":
        del data[len(data) * 2 // 3 :]
    else:
        data[len(data) // 2] ^= 1
    block.write_bytes(data)
    return f"the largest block, {block.name}, is {how}"


async def _is_noticed(ground: Ground) -> bool:
    """Whether a projector says that the log is not what it was."""
    return any(IN_DOUBT.search(words) for words in await projections(ground))


async def _serves(ground: Ground) -> bool:
    """Whether every projector is well again."""
    told = await projections(ground)
    return bool(told) and set(told) == {"ok"}


async def projections(ground: Ground) -> list[str]:
    """What each projector says of its projection, as the status tells it; nothing while the gateway is away."""
    try:
        answer = await ground.http.get("/status")
    except httpx2.TransportError:
        return []
    if answer.status_code != 200:
        return []
    services: list[dict[str, Any]] = answer.json().get("services") or []
    projectors: list[list[dict[str, Any]]] = [one["processes"] for one in services if one["service"] == PROJECTOR]
    return [process["parts"].get("projection", "ok") for processes in projectors for process in processes]


async def _restore(ground: Ground) -> tuple[int | None, str]:
    """-> the exit code, and its last words"""
    process = await asyncio.create_subprocess_exec(
        *ground.command("log", "restore", "--yes"),
        cwd=ROOT,
        env=ground.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, (said.decode(errors="replace").strip().splitlines() or [""])[-1][:120]


STRIKES = {"rollback": damage}
