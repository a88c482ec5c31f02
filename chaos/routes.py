"""The ways between the servers of the log, each through a proxy of its own: so one can be cut off from the others."""

from collections.abc import Callable, Mapping
from typing import Any

from chaos.wire.moments import Board
from chaos.wire.nats import Seen
from chaos.wire.proxy import LOCALHOST, Proxy
from local.nats import node_name, routes_of
from local.state import DataDirectory


class RouteTalk:
    """What servers say to each other is passed on as it is: no moment is looked for in it."""

    def __init__(self, _: str) -> None: ...

    def said(self, data: bytes) -> Seen:
        """See Talk."""
        yield data, None

    def told(self, data: bytes) -> Seen:
        """See Talk."""
        yield data, None

    def unanswered(self) -> list[dict[str, Any]]:
        """See Talk."""
        return []


class Routes:
    """From each server of the log to each other one; none where it is alone."""

    def __init__(self, data: DataDirectory, nodes: int, board: Board) -> None:
        numbers = range(1, nodes + 1)
        self._proxies = {
            (one, other): Proxy(node_name(one), place_of(data, other), RouteTalk, board)
            for one in numbers
            for other in numbers
            if one != other
        }

    async def listen(self) -> Mapping[str, Mapping[str, int]]:
        """-> by a server and another one, the port through which the first finds the second"""
        ports: dict[str, dict[str, int]] = {}
        for (one, other), proxy in self._proxies.items():
            ports.setdefault(str(one), {})[str(other)] = await proxy.listen()
        return ports

    def isolate(self, number: int, *, silently: bool) -> None:
        """Cuts this server off from the others, both ways. `silently`: nothing comes through, and nobody is told."""
        for proxy in self._touching(number):
            if silently:
                proxy.pause()
            else:
                proxy.way.is_closed = True
                proxy.cut()

    def join(self, number: int) -> None:
        """The others are reached again."""
        for proxy in self._touching(number):
            proxy.heal()

    def heal(self) -> None:
        """Every way is a good one again."""
        for proxy in self._proxies.values():
            proxy.heal()

    async def close(self) -> None:
        """Ends every way."""
        for proxy in self._proxies.values():
            await proxy.close()

    def _touching(self, number: int) -> list[Proxy]:
        return [proxy for ways, proxy in self._proxies.items() if number in ways]


def place_of(data: DataDirectory, number: int) -> Callable[[], tuple[str, int]]:
    """Where the others find this server; known only when it has started."""
    return lambda: (LOCALHOST, data.port(routes_of(node_name(number))))
