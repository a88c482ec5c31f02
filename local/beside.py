"""What can be done beside a system that runs: one more process of a service, and the projector's tasks."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from chassis.topology import SET_UP
from contracts.services import GATEWAY, PROJECTOR
from local.services import Machine, environment_of_user
from local.spawn import Launch
from local.state import LOCALHOST, DataDirectory, free_port


class NothingRuns(Exception):
    """No system that could be joined runs on the data directory; the message says which, and what to do."""


def one_more(service: str, path: Path, port: int) -> NoReturn:
    """Becomes one more process of a service, beside those that the supervisor keeps."""
    machine = running_machine(path, port or free_port())
    where = machine.address if service == GATEWAY else f"{machine.address}/health/ready"
    sys.stderr.write(f"One more {service} answers at {where}; Ctrl-C stops it.\n")
    become(machine.service(service, machine.port))


def projector_task(task: str, path: Path, arguments: Sequence[str]) -> NoReturn:
    """Becomes a task of the projector, such as `rebuild`, with the projector's rights."""
    machine = running_machine(path)
    become(machine.python(f"services.{PROJECTOR}.{task}", *arguments, told=machine.access(PROJECTOR)))


def log_restore(path: Path, arguments: Sequence[str]) -> NoReturn:
    """Becomes the restore of the log: with the projector's rights on Postgres, and on NATS those of set-up alone."""
    machine = running_machine(path)
    told = machine.access(PROJECTOR) | machine.access(SET_UP)
    become(machine.python(f"services.{PROJECTOR}.log.restore", *arguments, told=told))


def running_machine(path: Path, port: int = 0) -> Machine:
    """The system that runs on this data directory, for a process that answers on this port. Raises NothingRuns."""
    data = DataDirectory(path)
    holder = data.holder()
    if holder is None:
        raise NothingRuns(f"Nothing runs on the data directory {data.path}; `./run up --data {path}` starts it.")
    if not holder.is_ready:
        raise NothingRuns(f"Pressroom at {holder.address} is still starting; try again when it is ready.")
    return Machine(data, holder.has_standin, environment_of_user(), LOCALHOST, port)


def become(launch: Launch) -> NoReturn:
    """Goes on as this program: signals and the exit code are its own."""
    os.chdir(launch.folder)
    os.execve(launch.command[0], [str(part) for part in launch.command], dict(launch.environment))  # noqa: S606
