"""Where a server of the tests' own listens."""

import socket


def listener(port: int = 0) -> socket.socket:
    """A port of this machine, a free one by default, on which connections are taken in from now on.

    The protocol is named, because asyncio sends small writes at once only where it is.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(128)
    return listening
