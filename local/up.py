"""The start of the whole system on this machine: in which order, what is said, and until when."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chassis.topology import SET_UP
from local.console import Console
from local.nats import nats_servers, settle_nodes
from local.postgres import ADMIN, Postgres
from local.s3 import S3
from local.scale import SERVICES
from local.services import Machine, Service, StandIn, environment_of_user, needs_standin
from local.state import CannotStart, DataDirectory, Hold, bound, free_port
from local.supervisor import Program, Supervisor, side_by_side

MODEL_OF_OPENAI = "https://api.openai.com"
TABLES_SET_UP = "tables-set-up"


def up(path: Path, *, host: str, port: int, scale: Mapping[str, int], nodes: int | None = None) -> None:
    """Runs the system until SIGINT or SIGTERM. Scale: how many processes of a service, where not one.
    Nodes: how many servers keep the log; None: as many as the data directory was made with, one for a new one.

    Raises CannotStart, leaving no process behind, where it cannot run.
    """
    data = DataDirectory(path)
    data.refuse_if_held()
    user = environment_of_user()
    with open_entrance(host, port) as entrance:
        machine = Machine(data, needs_standin(user), user, host, entrance.getsockname()[1], entrance=entrance)
        run_on(machine, scale, nodes)


def run_on(machine: Machine, scale: Mapping[str, int], nodes: int | None) -> None:
    """Runs it on its data directory, which nobody else may hold."""
    with machine.data.held(machine.address) as hold:
        settle_nodes(machine.data, nodes)
        asyncio.run(run(machine, scale, hold))


async def run(machine: Machine, scale: Mapping[str, int], hold: Hold) -> None:
    console, stop = Console(), asyncio.Event()
    began = time.monotonic()
    try:
        async with Supervisor(machine.data.path, console) as supervisor:
            listen_to_signals(stop, supervisor)
            await unless(stop, start(machine, scale, supervisor))
            if not stop.is_set():
                hold.note(is_ready=True, has_standin=machine.has_standin)
                console.say(f"everything runs after {time.monotonic() - began:.1f} s; Ctrl-C stops it")
                announce(machine)
            await stop.wait()
            began = time.monotonic()
            console.say("stopping …")
        console.say(f"stopped ({time.monotonic() - began:.1f} s)")
    finally:
        console.close()


async def start(machine: Machine, scale: Mapping[str, int], supervisor: Supervisor) -> None:
    """First the servers, each with its set-up as soon as it answers, then the services."""
    nats, postgres, s3 = nats_servers(machine.data, machine.user), Postgres(machine.data), S3(machine.data)
    await side_by_side(
        supervisor.start(*nats, postgres, s3, *([StandIn(machine)] if machine.has_standin else [])),
        set_up(nats, machine, supervisor, SET_UP, "chassis.setup", user=SET_UP),
        set_up([postgres], machine, supervisor, TABLES_SET_UP, "services.projector.setup", user=ADMIN),
    )
    await supervisor.start(
        *(Service(machine, name, number + 1) for name in SERVICES for number in range(scale.get(name, 1)))
    )


async def set_up(
    servers: Sequence[Program], machine: Machine, supervisor: Supervisor, step: str, module: str, *, user: str
) -> None:
    """Brings servers to what is declared, while others may still start."""
    await side_by_side(*(supervisor.answered(server.name) for server in servers))
    await supervisor.run_once(step, machine.python(module, told=machine.access(user)))


def announce(machine: Machine) -> None:
    """Scripts wait for the first line."""
    with suppress(BrokenPipeError):
        sys.stdout.write(f"Pressroom is ready at {machine.address}\n{words_on_model(machine)}\n")
        sys.stdout.flush()


def words_on_model(machine: Machine) -> str:
    if machine.has_standin:
        return "Texts and pictures are samples from the stand-in model; set OPENAI_API_KEY for real ones."
    address = urlsplit(machine.user.get("OPENAI_BASE_URL") or MODEL_OF_OPENAI)
    return f"Model: OpenAI's API at {address.scheme}://{address.netloc.rpartition('@')[2]}"  # without a password


def listen_to_signals(stop: asyncio.Event, supervisor: Supervisor) -> None:
    """The first asks for an orderly stop, the second ends it."""

    def hear() -> None:
        if stop.is_set():
            supervisor.kill()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup wants it to go on
            asyncio.get_running_loop().add_signal_handler(number, hear)


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Does the work, or gives it up as soon as the stop is asked for."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        await working
    else:
        working.cancel()
        await asyncio.wait({working})


def open_entrance(host: str, port: int, *, choices: int = 3) -> socket.socket:
    """Where clients come in, from now to the stop; 0: at a free port. Raises CannotStart.

    The gateway is handed it, and so is the next one where that dies: who comes in between waits for it, and nobody else
    can take the port.
    """
    choice = port or free_port()
    try:
        return bound(host, choice, listens=True)
    except OSError as error:
        if not port and choices > 1:  # somebody was faster
            return open_entrance(host, port, choices=choices - 1)
        raise CannotStart(
            f"Port {choice} of {host} cannot be used: {error.strerror}. Choose another with --port."
        ) from error
