"""Bugs of the delivery protocol: the fence, the order of append and ack, the claim, and what comes late."""

import asyncio
from typing import Any

import chassis.jetstream_store
import chassis.runner
from chaos.planted.bug import Patch
from chassis.connection import Connection
from chassis.runner import Delivery, Runner
from contracts.commands import Command
from contracts.events import Artefact, Event, WorkClaimed, work_of
from contracts.workflow import Workflow
from contracts.works import Work

FENCE = "Nats-Expected-Last-Subject-Sequence"


def drop_fence(patch: Patch) -> None:
    """Appends without saying behind which event."""

    def without(ask: Any) -> Any:
        async def asks(
            self: Connection,
            subject: str,
            payload: bytes,
            *,
            headers: dict[str, str] | None = None,
            timeout_s: float,
        ) -> Any:
            kept = {name: value for name, value in (headers or {}).items() if not name.startswith(FENCE)}
            return await ask(self, subject, payload, headers=kept or None, timeout_s=timeout_s)

        return asks

    patch.replace(chassis.jetstream_store.Connection, "ask", without)


def ack_first(patch: Patch) -> None:
    """Acks a delivery when it comes, and works on it then."""

    def acked(run: Any) -> Any:
        async def runs(self: Any, delivery: Delivery) -> None:
            await delivery.ack()
            await run(self, delivery)

        return runs

    patch.replace(Runner, "run", acked)


def ignore_claims(patch: Patch) -> None:
    """Does the work whether or not its claim was recorded."""

    def claiming(claim: Any) -> Any:
        async def claims(self: Any, job: Any, history: Any, work: Work) -> None:
            await claim(self, job, history, work)
            if work not in job.memory.running:
                number = history.state.of(work).attempts + 1
                unrecorded = WorkClaimed(work=work, run=history.state.run, attempt=number, worker="nobody")
                job.memory.running.add(work)
                job.tasks[work] = asyncio.create_task(self._attempt(job, unrecorded))

        return claims

    patch.replace(Runner, "_claim", claiming)
    patch.replace(chassis.runner, "_is_open", lambda _: _always)


def _always(*_: object) -> bool:
    return True


def throw_away_late_successes(patch: Patch) -> None:
    """Records a success only as long as its claim is the open one of the open run."""

    def only_in_time(decide: Any) -> Any:
        def decides(command: Command, state: Workflow) -> Event | None:
            made: Event | None = decide(command, state)
            if isinstance(made, Artefact) and not state.is_open_claim(work_of(made), made.run, made.attempt):
                return None
            return made

        return decides

    patch.replace(chassis.runner, "decide", only_in_time)
