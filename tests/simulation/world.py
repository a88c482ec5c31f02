"""One simulated run: fifty workflows, everybody who has to do with them, and what must hold of them in the end.

    people ──desk──> log ──consumers──> the stages' runners ──> log
                      ├──republish──> tails ──> clients
                      └──reads──> projectors ──> tables

All in one thread, in virtual seconds, with dice that the seed throws: a seed is repeated exactly. Every call of the
model is numbered, and an outcome in the log names its call, so that calls which were paid for in vain can be counted.
"""

import asyncio
import itertools
import random
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import TypeVar
from unittest.mock import patch

import chassis.log_clock
import chassis.runner
import services.gateway.desk
import services.projector.projector
from contracts import subjects
from contracts.envelope import Recorded
from contracts.events import Event, WorkflowCancelled, WorkflowRequested
from contracts.services import STAGES
from contracts.subjects import WorkflowKey
from contracts.works import Work
from tests.simulation import faults
from tests.simulation.accounts import CLOCK_SLACK, ROUNDING, Account
from tests.simulation.clients import Client
from tests.simulation.consumers import Consumer
from tests.simulation.faults import Faults
from tests.simulation.gateways import Gateway
from tests.simulation.hosts import Host
from tests.simulation.log import Log
from tests.simulation.mix import draw
from tests.simulation.people import Person
from tests.simulation.postgres import Database, Session
from tests.simulation.processes import StageProcess
from tests.simulation.projectors import ProjectorProcess, check_tables
from tests.simulation.rules import Broken, BrokenWorkflow
from tests.simulation.telling import BUG, Tell, Violation, words

WORKFLOWS = 50
HORIZON_S = 400.0
HOUR_S = 3600.0
START = datetime(2026, 1, 1, tzinfo=UTC)


class World:
    """One simulated run. `tell` is given every step, with the number of its workflow, for a replay."""

    def __init__(self, seed: int, workflows: int = WORKFLOWS, *, tell: Tell | None = None) -> None:
        self.seed, self.random, self._tell = seed, random.Random(seed), tell
        self.mix = draw(seed, workflows)
        self.log = Log(clock=self.now)
        self.log.listeners.append(self._stored)
        self.accounts: dict[WorkflowKey, Account] = {}
        self.newer: set[int] = set()
        self.consumers = {stage: Consumer(self, stage) for stage in STAGES}
        self.database = Database(self)
        self.processes: list[StageProcess] = []
        self.gateways: list[Gateway] = []
        self.projectors: list[ProjectorProcess] = []
        self.clients: list[Client] = []
        self.broken: Violation | None = None
        self._loop = asyncio.get_running_loop()
        self._calls, self._wishes = itertools.count(1), dict[str, WorkflowKey]()

    # ------------------------------------------------------------ time and dice

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._loop.time()

    def now(self) -> datetime:
        """The same as a date."""
        return START + timedelta(seconds=self.time())

    def clock_off(self, name: str) -> timedelta:
        """By how much the clock of this process's machine is wrong. Its own dice: the same in each of its lives."""
        dice = random.Random(f"the clock of {name} in {self.seed}")
        is_wrong = dice.random() < self.mix.wrong_clock
        return timedelta(seconds=dice.uniform(-HOUR_S, HOUR_S)) if is_wrong else timedelta()

    def happens(self, probability: float) -> bool:
        """Does something that goes wrong now and then go wrong now? Never when the faults are over."""
        return probability > 0 and self.time() < faults.ENDS_S and self.random.random() < probability

    # ------------------------------------------------------------ the run

    async def run(self) -> Violation | None:
        """Runs to the end: None, or what broke."""
        with self._replaced():
            for stage, number in itertools.product(STAGES, (1, 2)):
                self.start_process(stage, number)
            for number in (1, 2):
                self.start_gateway(number)
            for number in range(1, self.mix.projectors + 1):
                self.start_projector(number)
            Faults(self).plan()
            people = [asyncio.create_task(Person(self, number).live()) for number in range(self.mix.workflows)]
            while self.time() < HORIZON_S and self.broken is None:
                await asyncio.sleep(1)
                if self.time() > faults.ENDS_S + 6 and all(one.done() for one in people) and self._has_ended():
                    break
            if self.broken is None:
                self._check_end()
            for one in people:
                one.cancel()
            for client in self.clients:
                client.leave()
        return self.broken

    def _has_ended(self) -> bool:
        return (
            all(account.has_ended for account in self.accounts.values())
            and not any(process.held for process in self.processes)
            and (not self.projectors or self.database.position == self.log.position)
            and all(client.has_seen_all for client in self.clients)
        )

    def _check_end(self) -> None:
        for account in self.accounts.values():
            self.check(account.check_end, account.key)
        for consumer in self.consumers.values():
            for message in consumer.messages:
                self.check(partial(consumer.check_end, message), message.account.key)
        for client in self.clients:
            self.check(client.check_end, client.key)
        if self.projectors:
            self.check(lambda: check_tables(self))

    @contextmanager
    def _replaced(self) -> Generator[None]:
        """What the code under test takes from the machine (ids, dice, a database) comes from the seed instead."""
        ids, dice = (f"id-{number}" for number in itertools.count(1)), random.getstate()
        with ExitStack() as stack:
            for module in (chassis.runner, services.gateway.desk):
                stack.enter_context(patch.object(module, "uuid7", ids.__next__))
            stack.enter_context(patch.object(services.projector.projector, "connect", self._connect))
            stack.enter_context(patch.object(chassis.log_clock, "time", SimpleNamespace(monotonic=self.time)))
            stack.callback(random.setstate, dice)
            random.seed(self.seed)
            yield

    async def _connect(self, name: str) -> Session:
        """A projector's connection to the database; its address is the projector's name here."""
        return await next(one for one in self.projectors if one.name == name and one.alive).connect()

    # ------------------------------------------------------------ who takes part

    def start_process(self, stage: str, number: int) -> None:
        """Starts a process of a stage, in the place of its last life."""
        _replace(self.processes, StageProcess(self, stage, number))

    def start_gateway(self, number: int) -> None:
        """Starts a gateway."""
        _replace(self.gateways, Gateway(self, number))

    def start_projector(self, number: int) -> None:
        """Starts a projector."""
        _replace(self.projectors, ProjectorProcess(self, number))

    def count_call(self, key: WorkflowKey, work: Work) -> int:
        """A call of the model begins. -> its number"""
        call = next(self._calls)
        self.accounts[key].calls[call] = work
        return call

    # ------------------------------------------------------------ what is stored

    def _stored(self, recorded: Recorded[Event]) -> None:
        """An event was stored: it is checked, and reaches whoever listens."""
        account = self.accounts.get(recorded.key)
        if account is None:
            slack = CLOCK_SLACK if self.mix.wrong_clock else ROUNDING
            account = self.accounts[recorded.key] = Account(self.log, recorded.key, len(self.accounts), slack)
        if self._tell is not None:
            self.say(recorded.key, "LOG", recorded.position, words(recorded))
        if isinstance(recorded.event, WorkflowRequested):
            self._note_wish(recorded.event, recorded.key)
        elif self.happens(self.mix.newer):
            self.newer.add(recorded.position)
        for consumer in self.consumers.values():
            consumer.store(recorded, account)
        self.check(lambda: account.note(recorded), recorded.key)
        self._republish(account, recorded)

    def _note_wish(self, asked: WorkflowRequested, key: WorkflowKey) -> None:
        wish = asked.client_request_id
        if wish is not None and self._wishes.setdefault(wish, key) != key:
            self.breaks(f"two workflows came of the request {wish}", key)

    def _republish(self, account: Account, recorded: Recorded[Event]) -> None:
        for gateway in self.gateways:
            gateway.wire.republish(account.live, recorded)
        for projector in self.projectors:
            projector.wire.republish(subjects.LIVE_EVENTS, recorded)
        if isinstance(recorded.event, WorkflowCancelled):
            for process in self.processes:
                if self.random.random() < 0.7 and process.alive and not process.is_frozen:
                    process.runner.call_off(recorded.key, recorded.event.run)

    # ------------------------------------------------------------ what broke, and what is told

    def check(self, rule: Callable[[], None], key: WorkflowKey | None = None) -> None:
        """Notes it where the rule does not hold."""
        try:
            rule()
        except BrokenWorkflow as broken:
            self.breaks(str(broken), broken.key)
        except Broken as broken:
            self.breaks(str(broken), key)

    def breaks(self, what: str, key: WorkflowKey | None = None) -> None:
        """Notes the first violation; the run ends with it."""
        if self.broken is None:
            account = self.accounts.get(key) if key else None
            history = tuple(words(one) for one in account.history.recorded) if account else ()
            self.broken = Violation(self.seed, what, account.number if account else None, history, BUG.get())
            self.say(key, "BROKEN", what)

    def say(self, key: WorkflowKey | None, *words: object) -> None:
        """A line of the replay."""
        if self._tell is not None:
            number = self.accounts[key].number if key is not None and key in self.accounts else None
            self._tell(number, " ".join(map(str, (f"{self.time():8.3f}", "-" if number is None else number, *words))))


L = TypeVar("L", bound=Host)


def _replace(lives: list[L], life: L) -> None:
    """The new life takes the place of the one before."""
    place = next((place for place, one in enumerate(lives) if one.name == life.name), len(lives))
    lives[place : place + 1] = [life]
