"""The life of a stage's process: connect, pull, work, say how it is, and on SIGTERM finish what is held and go."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from nats.aio.msg import Msg

from chassis.answers import Answers
from chassis.connection import Connection, NoAnswer
from chassis.consumer import Consumer
from chassis.deltas import delta_streams
from chassis.event_store import NotAllowed
from chassis.health import Health, Queue, served
from chassis.jetstream_store import JetStreamStore
from chassis.keeper import Keeper
from chassis.log_clock import LogClock
from chassis.majority import Majority
from chassis.presence import Load, announced
from chassis.runner import Runner
from chassis.settings import Settings, load_settings
from chassis.stage import Stage
from chassis.standing import consumer_info
from chassis.telemetry import set_up_logs
from contracts import subjects
from contracts.envelope import UnreadableEvent, decode
from contracts.events import WorkflowCancelled

T = TypeVar("T")

log = structlog.get_logger("process")


class CannotGoOn(Exception):
    """The process cannot do its work any more; whoever keeps it running should start it anew."""


def run_stage(stage: Stage[T], make_tools: Callable[[Settings], T]) -> None:
    """Runs one stage in this process until SIGTERM or SIGINT. Exit code 0 after a drain, 1 when it cannot go on."""
    settings = load_settings()
    set_up_logs(stage.name, settings.log_level, settings.log_format)
    try:
        asyncio.run(_run_stage(stage, make_tools(settings), settings))
    except (NotAllowed, NoAnswer, CannotGoOn) as wrong:
        log.error("cannot go on", why=str(wrong))
        sys.exit(1)


async def connect(settings: Settings, service: str, stopped: "asyncio.Future[None]") -> Connection | None:
    """The service's connection to NATS, under its own user; waits as long as it takes for the server to be there.

    -> None when the process was asked to stop meanwhile. Raises NotAllowed for a wrong password.
    """
    connection = unconnected(settings, service)
    return connection if await reached(connection, settings, service, stopped) else None


def unconnected(settings: Settings, service: str) -> Connection:
    """The service's connection to NATS, before it is one."""
    return Connection(settings.nats_user or service)


async def reached(connection: Connection, settings: Settings, service: str, stopped: "asyncio.Future[None]") -> bool:
    """Connects, waiting as long as it takes. -> False when the process was asked to stop meanwhile

    Raises NotAllowed for a wrong password.
    """
    password = settings.nats_password.get_secret_value()
    reaching = asyncio.create_task(connection.reach(settings.nats_url, password=password, name=worker_name(service)))
    await asyncio.wait({reaching, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if reaching.done():
        reaching.result()
        return True
    reaching.cancel()
    await asyncio.gather(reaching, return_exceptions=True)
    return False


def worker_name(service: str) -> str:
    """Names this process in claims and on NATS."""
    return f"{service}@{socket.gethostname()}:{os.getpid()}"


def stop_signal() -> "asyncio.Future[None]":
    """Is done at the first SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: stopped.done() or stopped.set_result(None))
    return stopped


async def _run_stage(stage: Stage[T], tools: T, settings: Settings) -> None:
    stopped = stop_signal()
    health = Health(nats=lambda: "there is no connection to NATS yet")
    async with served(health, settings.health_port):
        connection = await connect(settings, stage.name, stopped)
        if connection is not None:
            try:
                await _work(stage, tools, settings, connection, health=health, stopped=stopped)
            finally:
                await connection.close()
    log.info("stopped")


async def _work(
    stage: Stage[T],
    tools: T,
    settings: Settings,
    connection: Connection,
    *,
    health: Health,
    stopped: "asyncio.Future[None]",
) -> None:
    """Works until the process is asked to stop. Raises CannotGoOn."""
    answers = Answers(settings.answers and settings.answers / stage.name)
    clock = LogClock()
    runner = Runner(
        stage,
        JetStreamStore(connection, stage.name, clock=clock),
        tools,
        worker=worker_name(stage.name),
        deadline_s=settings.deadline_s,
        streams=delta_streams(connection, stage.name),
        clock=clock,
        answers=answers,
    )
    await connection.subscribe(subjects.every_live(WorkflowCancelled), _calls_off(runner))
    keeper = Keeper(connection, stage.name, ack_wait_s=settings.ack_wait_s)
    consumer = Consumer(connection, stage.name, runner.run, slots=settings.concurrency, keeper=keeper)
    majority = Majority(connection, consumer_info(stage.name))
    majority.on_return.append(consumer.look_around)
    health.watch(
        nats=majority.trouble,
        consumer=lambda: consumer.trouble,
    )
    health.can_do_without(works=runner.trouble, clock=clock.trouble)
    health.measure(deliveries=lambda: Queue(consumer.busy, settings.concurrency), unheard_bytes=connection.unheard)
    async with (
        answers.tended(),
        majority.watched(),
        clock.watched(connection, consumer_info(stage.name)),
        announced(
            connection,
            stage.name,
            health,
            worker=worker_name(stage.name),
            load=lambda: Load(settings.concurrency, consumer.busy),
        ),
    ):
        working = asyncio.create_task(_pull(consumer, clock))
        log.info("ready", worker=worker_name(stage.name), slots=settings.concurrency)
        await asyncio.wait({stopped, working, connection.closed}, return_when=asyncio.FIRST_COMPLETED)
        if stopped.done():
            await _drain(consumer, working, settings.drain_s)
        else:
            working.cancel()
            (ended,) = await asyncio.gather(working, return_exceptions=True)
            raise CannotGoOn("the connection to NATS was closed" if connection.closed.done() else f"{ended!r}")


async def _pull(consumer: Consumer, clock: LogClock) -> None:
    """Pulls, once the log's server was asked for the time: a wrong clock would have a retry made before it is due."""
    waits = [asyncio.create_task(one.wait()) for one in (clock.answered, consumer.stopping)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()
    await consumer.run()


async def _drain(consumer: Consumer, working: "asyncio.Task[None]", drain_s: float) -> None:
    """Lets what is held end. What takes longer is left to another process: its message comes again."""
    log.info("draining", for_s=drain_s)
    consumer.drain()
    ended, _ = await asyncio.wait({working}, timeout=drain_s)
    if not ended:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        log.warning("left work to others", why=f"it was not done within {drain_s:g} s")


def _calls_off(runner: Runner[T]) -> Callable[[Msg], Awaitable[None]]:
    async def heard(message: Msg) -> None:
        try:
            cancelled = decode(message.subject, message.headers or {}, message.data, position=0)
        except UnreadableEvent as wrong:
            log.warning("unreadable cancel", why=str(wrong))
            return
        if isinstance(cancelled.event, WorkflowCancelled):
            runner.call_off(cancelled.key, cancelled.event.run)

    return heard
