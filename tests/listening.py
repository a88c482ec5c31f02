"""Where a server of the tests' own listens."""

import socket


def listener() -> socket.socket:
    """A free port of this machine, on which connections are taken in from now on.

    The protocol is named, because asyncio sends small writes at once only where it is.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    return listening
