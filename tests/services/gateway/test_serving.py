"""How the gateway's process takes clients in."""

import asyncio
import socket

from services.gateway.__main__ import SEND_BUFFER_BYTES, bind
from services.gateway.sockets import UNREAD_S


async def accepted(host: str) -> tuple[int, int, int]:
    """What the kernel does with a connection that was taken in: sends at once, how much it keeps, how long (in ms)."""
    told: asyncio.Future[tuple[int, int, int]] = asyncio.get_running_loop().create_future()

    async def look(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken = writer.get_extra_info("socket")
        told.set_result(
            (
                taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
                taken.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF),
                taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
            )
        )
        writer.close()

    async with await asyncio.start_server(look, sock=bind(host, 0)) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        answer = await told
        writer.close()
        await writer.wait_closed()
    return answer


async def test_small_answers_leave_at_once() -> None:
    at_once, _, _ = await accepted("127.0.0.1")
    assert at_once


async def test_kernel_keeps_little_for_a_client_who_does_not_read() -> None:
    _, kept, _ = await accepted("127.0.0.1")
    assert kept <= 2 * SEND_BUFFER_BYTES  # Linux doubles what it is told, for its own books


async def test_kernel_does_not_keep_it_for_ever() -> None:
    _, _, milliseconds = await accepted("127.0.0.1")
    assert milliseconds == UNREAD_S * 1000
