"""The system under test, as `./run up` starts it, but with every way of its services through proxies.

python -m chaos.press DATA        reads what it is to be from DATA.press.json; runs until SIGINT or SIGTERM

The proxies themselves, and all faults, are in the process that started this one.
"""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from chassis.topology import Node
from contracts.services import GATEWAY, PROJECTOR, STAGES
from local import nats, up
from local.nats import Nats, nats_servers
from local.services import Machine, Service, Way, environment_of_user, variables
from local.spawn import Launch
from local.state import LOCALHOST, CannotStart, DataDirectory, free_port

WAYS = (Way.LOG, Way.TABLES, Way.PICTURES, Way.MODEL)
"""What is led through proxies; nothing here searches anywhere but at the stand-in model."""

NOWHERE = f"{LOCALHOST}:1"
"""Nobody listens there. Servers tell each other where the others are, and would go around the proxies."""


@dataclass(frozen=True)
class Layout:
    """What the system under test is to be. `ports`: by process and way, where its proxies listen.

    `routes`: by a server of the log and another one, where the proxy on the way from the first to the second listens.
    """

    scale: Mapping[str, int]
    ports: Mapping[str, Mapping[str, Sequence[int]]]
    key: str
    planted: str | None = None
    nodes: int = 1
    routes: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])

    @classmethod
    def of(cls, path: Path) -> "Layout":
        """The layout that was written down for this data directory."""
        return cls(**json.loads(note(path, "press").read_text()))


def note(data: Path, name: str) -> Path:
    """A file beside the data directory, which the driver writes and this process reads."""
    return data.with_name(f"{data.name}.{name}.json")


@dataclass(frozen=True)
class PressedMachine(Machine):
    """The running system as its processes are told it: through the proxies of the one that is asked for."""

    layout: Layout = field(default_factory=lambda: Layout({}, {}, ""))
    process: str = ""

    def access(self, name: str) -> dict[str, str]:
        """See Machine: the same, with the proxies' places."""
        told = super().access(name)
        ports = self.layout.ports.get(self.process, {})
        for way, places in ports.items():
            told |= led_through(Way[way], told, [f"{LOCALHOST}:{port}" for port in places])
        if ports and f"{Way.MODEL}API_KEY" in told:
            told |= variables(Way.MODEL, api_key=self.layout.key)
        return told

    def python(self, *arguments: str, told: Mapping[str, str]) -> Launch:
        """See Machine: a service with a planted bug, or with another clock, where that is wanted."""
        module, *rest = arguments
        told = {**told, **self._release()}
        if re.fullmatch(r"services\.[a-z]+", module):
            if self.layout.planted:
                module, rest = "chaos.planted", [self.layout.planted, module, *rest]
            if shift := self._shift():
                module, rest = "chaos.shifted", [str(shift), module, *rest]
        return super().python(module, *rest, told=told)

    def _release(self) -> dict[str, str]:
        """Where this process finds its code, if that is another from its next start on."""
        try:
            places = json.loads(note(self.data.path, "releases").read_text())
        except FileNotFoundError:
            return {}
        return {"PYTHONPATH": places[self.process]} if self.process in places else {}

    def _shift(self) -> float:
        """The seconds by which this process's clock is off from its next start on."""
        try:
            return float(json.loads(note(self.data.path, "clocks").read_text()).get(self.process, 0))
        except FileNotFoundError:
            return 0.0


def led_through(way: Way, told: Mapping[str, str], places: Sequence[str]) -> dict[str, str]:
    """Where this way leads, with proxies in the places of the servers."""
    place = places[0]
    match way:
        case Way.LOG:
            return variables(way, url=",".join(f"nats://{one}" for one in places))
        case Way.TABLES:
            return variables(way, url=re.sub(r"@[^/]+/", f"@{place}/", told[f"{way}URL"]))
        case Way.PICTURES:
            return variables(way, endpoint=place)
        case _:
            return variables(way, base_url=f"http://{place}/v1")


class PressedService(Service):
    """One process of a service, with proxies of its own."""

    def __init__(self, machine: Machine, service: str, number: int) -> None:
        if isinstance(machine, PressedMachine):
            machine = replace(machine, process=f"{service}-{number}")
        super().__init__(machine, service, number)


class PressedNats(Nats):
    """One server of the log, with a proxy on its way to each of the others. `routes`: where those listen, by number."""

    routes: Mapping[int, int] = {}

    def node(self, number: int, *, settled: bool) -> Node:
        """See Nats."""
        node = super().node(number, settled=settled)
        return replace(node, routes={**node.routes, **self.routes}, told_as=NOWHERE)


def pressed_nats(
    data: DataDirectory, settings: Mapping[str, str] | None = None, *, routes: Mapping[str, Mapping[str, int]]
) -> list[Nats]:
    """The servers of the log, each on its ways to the others."""
    if not routes:
        return nats_servers(data, settings)
    servers: list[Nats] = []
    for number, ways in sorted(routes.items()):
        server = PressedNats(data, settings, number=int(number))
        server.routes = {int(other): port for other, port in ways.items()}
        servers.append(server)
    return servers


def processes(scale: Mapping[str, int]) -> list[str]:
    """The services' processes, by name."""
    return [
        f"{service}-{number + 1}"
        for service in (GATEWAY, *STAGES, PROJECTOR)
        for number in range(scale.get(service, 1))
    ]


def press(path: Path) -> None:
    """Runs the system until SIGINT or SIGTERM. Raises CannotStart."""
    data, layout, user = DataDirectory(path), Layout.of(path), environment_of_user()
    machine = PressedMachine(data, True, user, LOCALHOST, free_port(), layout=layout)
    # The start is the one of `./run up`; only what a service's process is told is another.
    up.Service = PressedService
    up.nats_servers = partial(pressed_nats, routes=layout.routes)
    with data.held(machine.address) as hold:
        settle_nodes(data, layout.nodes)
        asyncio.run(up.run(machine, layout.scale, hold))


def settle_nodes(data: DataDirectory, nodes: int) -> None:
    """Has the log kept by so many servers. Raises CannotStart where this Pressroom knows of one only."""
    settle: Callable[[DataDirectory, int], object] | None = getattr(nats, "settle_nodes", None)
    if settle is not None:
        settle(data, nodes)
    elif nodes > 1:
        raise CannotStart("This version of Pressroom keeps its log on one server.")


def main() -> None:
    """Exit code 1 where it cannot start."""
    try:
        press(Path(sys.argv[1]))
    except (CannotStart, OSError) as error:
        sys.exit(f"The system under test cannot start. {error}")


if __name__ == "__main__":
    main()
