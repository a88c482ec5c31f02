"""Bugs of the delivery protocol: the fence, the order of append and ack, the claim, what comes late, what is kept, and
what is left behind.
"""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import chassis.jetstream_store
import chassis.runner
import contracts.workflow
from chaos.planted.bug import Patch
from chassis.answers import Answers
from chassis.connection import Connection
from chassis.runner import Delivery, Runner
from contracts.commands import Command
from contracts.events import Artefact, Event, WorkClaimed, WorkflowRequested, work_of
from contracts.workflow import Workflow
from contracts.works import Kind, Work

FENCE = "Nats-Expected-Last-Subject-Sequence"
MESSAGE_ID = "Nats-Msg-Id"


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


def name_by_cause(patch: Patch) -> None:
    """Has JetStream know an event again by its type and its cause: of two claims for one delivery it acks the second
    and does not store it.
    """

    def naming(encode: Any) -> Any:
        def encodes(event: Event, *, cause: str | None = None, **told: Any) -> tuple[Mapping[str, str], bytes]:
            headers, body = encode(event, cause=cause, **told)
            return {**headers, MESSAGE_ID: f"{event.type} {cause}"}, body

        return encodes

    patch.replace(chassis.jetstream_store, "encode", naming)


def forget_last_post(patch: Patch) -> None:
    """Takes a workflow for complete without the last of its several posts, which nobody writes."""

    def all_but_one(works: Any) -> Any:
        def asked_for(request: WorkflowRequested) -> tuple[Work, ...]:
            asked: tuple[Work, ...] = works(request)
            posts = [work for work in asked if work.kind is Kind.SOCIAL]
            return tuple(work for work in asked if work not in posts[1:][-1:])

        return asked_for

    patch.replace(contracts.workflow, "works", all_but_one)


def keep_no_answers(patch: Patch) -> None:
    """Uses an answer without keeping it first."""
    patch.replace(Answers, "write", lambda _: _nothing)


def _nothing(*_: object) -> None:
    """Nothing is kept."""


def leave_heartbeats(patch: Patch) -> None:
    """Leaves the heartbeat of each delivery running when it has ended."""

    def stopping(stop: Any) -> Any:
        async def stops(tasks: Iterable[asyncio.Task[Any]]) -> None:
            *works, _heartbeat = tasks
            await stop(works)

        return stops

    patch.replace(chassis.runner, "_stop", stopping)


def leave_files_open(patch: Patch) -> None:
    """Leaves the file of each answer open that it keeps."""
    left: list[IO[bytes]] = []

    def writing(write: Any) -> Any:
        def writes(self: Answers, place: Path, answer: Any) -> None:
            write(self, place, answer)
            left.append(place.open("rb"))

        return writes

    patch.replace(Answers, "write", writing)
