"""The course of a run: the plan, the start, faults and clients side by side, calm, what is left, and the checker."""

import asyncio
import itertools
import math
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx2

from chaos import collect, redriving, resources, sums
from chaos.clients import LITTLE, WAIT_S, Crowd
from chaos.faults import LANES, STRIKES
from chaos.faults.disk import small_disk
from chaos.faults.front import client_of
from chaos.faults.log_itself import forget_repeats
from chaos.ground import CannotStart, Ground
from chaos.plan import ALL, Plan, Step, kinds_of, never_fired, parts_of
from chaos.records import Records
from chaos.wire.proxy import until
from chassis.connection import NoAnswer
from chassis.event_store import StoreUnavailable
from chassis.jetstream_log import JetStreamLog
from chassis.standing import stage_standing
from contracts.services import STAGES
from local.services import ROOT

FAULTS_WITHIN_S = 170.0
"""After so long no further fault is begun: a run is to end within five minutes."""

STEP_WITHIN_S = 90.0
PATIENCE_S = 120.0
HEAD_START = 4
AT_ONCE_MAX = 24
CALM_TIMEOUT_S = 10.0

SELDOM = 3
"""Of so many looks for too little work one asks for more, however much there is."""

WARM_UP = 2
"""So many workflows are made before anything is broken and before the baseline is taken: everything was done once."""

TROUBLE = (
    OSError,
    NoAnswer,
    StoreUnavailable,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    httpx2.TransportError,
)

HOLDS, BROKEN, NOT_CHECKED = 0, 1, 2

RUN = "run"
"""What the run directory is called in the folder of --keep."""


@dataclass(frozen=True)
class Wanted:
    """How a run is to be made."""

    plan: Plan
    keep: Path | None
    latency_s: float
    checks: bool = True
    patience_s: float = PATIENCE_S
    """How long is waited for what does not come: half as long for consumers and tables as for clients."""
    named: frozenset[str] = frozenset()
    """The kinds that were asked for by name, and not with all: a run without them is not what was asked for."""


def run(wanted: Wanted, say: Callable[[str], None]) -> int:
    """-> the exit code: 0 all invariants hold, 1 one is broken, 2 it could not be checked or was not what was wanted"""
    if wanted.keep is not None:
        if (wanted.keep / RUN).exists():
            say(f"{wanted.keep} holds a run already; choose another folder for --keep.")
            return NOT_CHECKED
        return asyncio.run(Course(wanted, wanted.keep.absolute(), say).run())
    with tempfile.TemporaryDirectory(prefix="pressroom-chaos-") as name:
        Path(name).chmod(0o711)  # Postgres's own user passes through
        return asyncio.run(Course(wanted, Path(name), say).run())


class Course:
    """One run."""

    def __init__(self, wanted: Wanted, folder: Path, say: Callable[[str], None]) -> None:
        self._wanted, self._plan, self._say, self._folder = wanted, wanted.plan, say, folder
        self._records = Records(folder / RUN, say)
        self._ground = Ground(wanted.plan, folder, self._records, latency_s=wanted.latency_s)
        at_once = AT_ONCE_MAX if "kills" not in self._plan.faults else 2 * AT_ONCE_MAX
        self._crowd = Crowd(self._ground, at_once=at_once)
        self._done = 0
        self._brought = 0
        self._began = time.monotonic()

    async def run(self) -> int:
        """The whole of it; leaves no process behind, however it ends."""
        self._records.whole("plan.json", self._plan.told())
        for line in plan_in_words(self._plan):
            self._say(line)
        if me := asyncio.current_task():
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, me.cancel)
        try:
            with small_disk(self._plan, self._ground.data.path):
                await self._try()
        except CannotStart as wrong:
            self._say(str(wrong))
            return NOT_CHECKED
        except StoreUnavailable as away:
            self._say(f"It cannot be checked: the log does not answer in the end ({away}).")
            return NOT_CHECKED
        except asyncio.CancelledError:
            self._say("interrupted; everything is stopped")
            return 130
        finally:
            self._records.close()
        for line in sums.in_words(self._records.folder):
            self._say(line)
        code, told = judged(self._wanted, self._ground.struck, await self._check())
        for line in told:
            self._say(line)
        return code

    async def _try(self) -> None:
        try:
            await self._ground.start()
            self._say(f"the system under test runs at {self._ground.address}")
            await forget_repeats(self._ground)
            await self._live()
            self._records.moment("end")
            await collect.collect(self._ground)
        finally:
            await self._ground.stop()

    async def _live(self) -> None:
        sampling = asyncio.create_task(collect.sample_checkpoints(self._ground))
        living = asyncio.create_task(self._crowd.live())
        telling = asyncio.create_task(self._tell_progress())
        measuring = asyncio.create_task(resources.sample(self._ground))
        try:
            await self._warm_up()
            await resources.note_at_rest(self._ground, "before")
            await self._strike_all()
            await self._calm(living)
        finally:
            tasks = (living, sampling, telling, measuring, *self._ground.onlookers)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _warm_up(self) -> None:
        count = min(WARM_UP, len(self._crowd.clients) // 2)
        self._crowd.allow(count)

        async def look() -> bool:
            return self._crowd.ended >= count

        await until(look, self._wanted.patience_s)

    # ------------------------------------------------------------ faults

    async def _strike_all(self) -> None:
        """Every step, lane by lane, and at last those that want the ground for themselves."""
        steps = self._plan.steps
        lanes = [[step for step in steps if step.kind in lane] for lane in LANES]
        self._allow()
        self._crowd.is_wanted = True
        watching = asyncio.create_task(self._watch_clients())
        try:
            async with asyncio.TaskGroup() as group:
                for lane in lanes:
                    group.create_task(self._lane(lane))
            async with asyncio.TaskGroup() as group:
                for lane in lanes:
                    group.create_task(self._again([step for step in lane if step.number in self._ground.missed]))
            await self._lane([step for step in steps if not any(step.kind in lane for lane in LANES)])
            await self._ground.has_looked()
        finally:
            for task in (watching, *self._ground.aside):
                task.cancel()
        self._crowd.allow(self._plan.workflows)

    async def _lane(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if self._is_time_over():
                self._ground.skipped(step, "the time for faults is over")
            else:
                await self._strike(step)
            self._done += 1
            self._allow()

    async def _again(self, steps: Sequence[Step]) -> None:
        """Once more, after all others: those whose point did not come."""
        for step in steps:
            if not self._is_time_over():
                await self._strike(step)

    def _is_time_over(self) -> bool:
        return time.monotonic() - self._began > FAULTS_WITHIN_S

    async def _strike(self, step: Step) -> None:
        limit = None if step.kind == "kills" else STEP_WITHIN_S
        bringing = asyncio.create_task(self._bring_work(step))
        try:
            async with asyncio.timeout(limit):
                await STRIKES[step.kind](step, self._ground)
        except TimeoutError:
            self._ground.healed(step, f"given up after {limit} s")
        except TROUBLE as wrong:  # what the fault itself needs was away, by another fault
            self._ground.healed(step, f"it could not be done as planned: {type(wrong).__name__} {wrong}")
        finally:
            bringing.cancel()
            if step.number not in self._ground.struck:
                self._ground.missed.add(step.number)

    async def _bring_work(self, step: Step) -> None:
        """As long as its point has not come, one workflow more now and then, where all have begun and few go on; seldom
        where many do: they may hang.
        """
        waiting, turns = {part.number for part in parts_of(step)}, itertools.count(1)
        while waiting - self._ground.struck:
            await asyncio.sleep(WAIT_S)
            is_little = self._crowd.at_work + self._ground.at_work < LITTLE or next(turns) % SELDOM == 0
            if self._crowd.is_used_up and is_little:
                self._brought += 1
                self._ground.follow(client_of(self._ground, f"work-{self._brought}", research=True))

    def _allow(self) -> None:
        """As many clients as there were steps, in proportion; all of them where there are few steps."""
        steps = len(self._plan.steps)
        share = 1 if steps < 3 else self._done / steps
        self._crowd.allow(HEAD_START + WARM_UP + math.ceil(share * self._plan.workflows))

    async def _watch_clients(self) -> None:
        async def look() -> bool:
            return self._crowd.is_at_rest

        if await until(look, 10 * FAULTS_WITHIN_S, every_s=0.2):
            self._ground.clients_done.set()

    # ------------------------------------------------------------ calm

    async def _calm(self, living: "asyncio.Task[None]") -> None:
        """Everything healed; waits until every client has its end and nothing is left to be done."""
        self._ground.heal_ways()
        for name in self._ground.names():
            self._ground.signal(name, signal.SIGCONT)
        await self._ground.standin.clear()
        await redriving.park_one(self._ground)
        self._records.moment("calm")
        if not await until(self._is_at_rest, self._wanted.patience_s, every_s=0.3):
            self._say(f"something is still under way {self._wanted.patience_s:g} s after the faults")
        await redriving.redrive_all(self._ground)
        await asyncio.wait({living}, timeout=self._wanted.patience_s)
        if not living.done():
            left = self._crowd.begun - self._crowd.ended
            after = f"{self._wanted.patience_s:g} s after all was resumed"
            self._say(f"{left} clients have not seen the end of their workflow {after}")
        if self._ground.onlookers:
            await asyncio.wait(self._ground.onlookers, timeout=self._wanted.patience_s / 2)
        for trouble in self._crowd.troubles:
            self._say(trouble)
        if not await until(self._is_empty, self._wanted.patience_s / 2, every_s=0.3):
            self._say(f"something still waits {self._wanted.patience_s / 2:g} s after that")
        await redriving.list_parked(self._ground, "after")

    async def _is_at_rest(self) -> bool:
        """Every workflow is closed, or has failed and is resumed by nobody; and nothing else is left to be done."""
        return self._crowd.is_at_rest and not self._ground.at_work and await self._is_empty()

    async def _is_empty(self) -> bool:
        """Nothing waits for a stage, and the read tables and every copy hold the whole log."""
        try:
            async with self._ground.connection() as connection:
                standings = [await stage_standing(connection, stage, timeout_s=CALM_TIMEOUT_S) for stage in STAGES]
                end = await JetStreamLog(connection).end()
            are_whole = [await self._ground.has_copy(node, end) for node in self._ground.copies()]
            database = await self._ground.database()
            try:
                position = await database.fetchval(f"SELECT position FROM ({collect.CHECKPOINT}) c")  # noqa: S608
            finally:
                await database.close()
        except (*TROUBLE, TimeoutError):
            return False
        return position == end and all(are_whole) and not any(one.waiting or one.in_hand for one in standings)

    # ------------------------------------------------------------ what is told

    async def _tell_progress(self) -> None:
        while True:
            await asyncio.sleep(10)
            crowd = self._crowd
            passed = time.monotonic() - self._began
            ended = f"{crowd.ended} of {len(crowd.clients)} workflows ended, {crowd.in_flight} under way"
            self._say(f"{passed:6.1f} s      {ended}; {self._done} of {len(self._plan.steps)} faults done")

    async def _check(self) -> int:
        """The checker is a program of its own, which knows the run directory alone."""
        if not self._wanted.checks:
            return HOLDS
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "chaos.checker", self._records.folder), cwd=ROOT, env=environment()
        )
        try:
            return await process.wait()
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            return 130


def judged(wanted: Wanted, struck: Set[int], code: int) -> tuple[int, list[str]]:
    """What was wanted and did not happen. `struck`: the numbers of what was fired. -> the exit code, and what to say"""
    missing = never_fired(wanted.plan, struck)
    if not missing:
        return code, []
    told = [f"never fired: {', '.join(missing)}"]
    named = [kind for kind in missing if kind in wanted.named]
    if not named or code != HOLDS:
        return code, told
    what = f"This run says nothing about {', '.join(named)}, which was asked for by name"
    return NOT_CHECKED, [*told, f"{what}: try more workflows, or another seed."]


def environment() -> dict[str, str]:
    """For a module of ours."""
    return {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}


def plan_in_words(plan: Plan) -> list[str]:
    """The plan, a line for each step."""
    planted = f", with the planted bug {plan.planted}" if plan.planted else ""
    head = f"seed {plan.seed}: {plan.workflows} workflows, {plan.nodes} server(s) of the log{planted}"
    return [head, *(f"  {step.number:>3} {step.kind:<18} {step.target:<14} {step.when}" for step in plan.steps)]


def repeated(wanted: Wanted) -> str:
    """The command that makes the same run again."""
    plan = wanted.plan
    faults = ALL if plan.faults == tuple(kinds_of([ALL], plan.nodes)) else ",".join(plan.faults)
    more = [f"--nodes {plan.nodes}"] * (plan.nodes > 1) + [f"--plant {plan.planted}"] * bool(plan.planted)
    slow = f"--latency {wanted.latency_s:g}"
    asked = f"./run chaos --seed {plan.seed} --workflows {plan.workflows} --faults {faults} {slow}"
    return " ".join((asked, *more))
