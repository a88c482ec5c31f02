"""Messages as no client of ours would send them: byte by byte, over a plain connection to NATS."""

import asyncio
import json
from urllib.parse import urlsplit

WITHIN_S = 10.0


async def send_raw(
    url: str, *, user: str, password: str, subject: bytes, body: bytes = b"{}", headers: bytes = b""
) -> None:
    """Publishes one message, and waits until the server has taken it in. `headers`: the lines, with their ends."""
    place = urlsplit(url)
    async with asyncio.timeout(WITHIN_S):
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        login = {"verbose": False, "pedantic": False, "headers": True, "user": user, "pass": password}
        writer.write(b"CONNECT " + json.dumps(login).encode() + b"\r\n")
        if headers:
            sizes = f"{len(headers)} {len(headers) + len(body)}".encode()
            writer.write(b"HPUB " + subject + b" " + sizes + b"\r\n" + headers + body + b"\r\n")
        else:
            writer.write(b"PUB " + subject + f" {len(body)}".encode() + b"\r\n" + body + b"\r\n")
        writer.write(b"PING\r\n")
        while (line := await reader.readline()) != b"PONG\r\n":
            assert line and not line.startswith(b"-ERR"), line
        writer.close()
        await writer.wait_closed()
