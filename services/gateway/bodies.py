"""Bounds the bodies of requests: what is too large is refused before it is held in memory."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.problems import TOO_LARGE, problem

READ_WITHOUT = {"GET", "HEAD"}
"""Methods whose requests mean nothing by a body: nobody reads it, so nothing of it is held."""


class BoundedBodies:
    """An ASGI layer. A body that tells its size is refused at once, any other when it has grown too large."""

    def __init__(self, app: ASGIApp, bytes_max: int) -> None:
        self._app, self._bytes_max = app, bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["method"] in READ_WITHOUT:
            await self._app(scope, receive, send)
        elif self._told_size(scope) > self._bytes_max:
            await problem(TOO_LARGE, self._words())(scope, receive, send)
        else:
            await self._app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._bytes_max:
                raise HTTPException(413, self._words())
            return message

        return counted

    def _told_size(self, scope: Scope) -> int:
        sizes = [value for name, value in scope["headers"] if name == b"content-length"]
        return int(sizes[0]) if sizes and sizes[0].isdigit() else 0

    def _words(self) -> str:
        return f"The request is larger than {self._bytes_max // 1024} KiB."
