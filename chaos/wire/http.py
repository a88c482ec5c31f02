"""HTTP/1.1, as far as moments are concerned: calls of the model and their answers, uploads of objects.

Each call of the model is given a name on its way: so the model's own list of calls can be held against what was seen
here.
"""

from collections import deque
from collections.abc import Iterator
from enum import Enum
from itertools import count
from typing import Any

from chaos.wire.moments import Moment, Point
from chaos.wire.nats import Seen

BODILESS = {204, 304}
NAMED = b"X-Client-Request-Id: "
"""A header that OpenAI knows as well: what the caller calls his call."""

NUMBERS = count(1)
"""Of the calls of this run, over all connections."""

STORE_POINTS = {"PUT": Point.UPLOADED, "GET": Point.FETCHED}


class Mark(Enum):
    """Where in a message a piece stands."""

    HEAD = "head"
    BODY = "body"
    END = "end"


class HttpTalk:
    """One connection of one process to the model, or to the object store."""

    def __init__(self, process: str, *, is_store: bool = False) -> None:
        self._process, self._is_store = process, is_store
        self._asked: deque[dict[str, Any]] = deque()
        self._request, self._response = Messages(), Messages(self._asked)
        self._has_asked, self._has_begun = True, False

    def said(self, data: bytes) -> Seen:
        """What the process says."""
        for piece, mark in self._request.feed(data):
            if self._has_asked:  # a request without a body ends where it begins
                method, path = self._request.first.split(" ")[:2]
                self._asked.append({"method": method, "path": path})
                self._asked[-1] |= self._name(method)
            named = self._with_name(piece) if self._has_asked else piece
            self._has_asked = mark is Mark.END
            yield named, self._moment_said(mark)

    def told(self, data: bytes) -> Seen:
        """What the process is told."""
        for piece, mark in self._response.feed(data):
            yield piece, self._moment_told(mark)

    def unanswered(self) -> list[dict[str, Any]]:
        """Nothing of what is said here is an append."""
        return []

    def _name(self, method: str) -> dict[str, Any]:
        """What a call is called; nothing else is."""
        return {"call": f"{self._process}.{next(NUMBERS)}"} if method == "POST" and not self._is_store else {}

    def _with_name(self, head: bytes) -> bytes:
        """The head of a request, with the name of the call among its headers."""
        name = self._asked[-1].get("call")
        return head[:-2] + NAMED + name.encode() + b"\r\n\r\n" if name else head

    def _moment_said(self, mark: Mark) -> Moment | None:
        asked = self._asked[-1] if self._asked else {}
        if self._is_store and mark is Mark.HEAD and asked.get("method") == "PUT":
            return Moment(Point.UPLOADING, self._process, asked)
        if not self._is_store and mark is Mark.END and asked.get("method") == "POST":
            return Moment(Point.CALLING, self._process, asked)
        return None

    def _moment_told(self, mark: Mark) -> Moment | None:
        if not self._asked:
            return None
        asked = self._asked[0] | {"status": self._response.status}
        has_begun, self._has_begun = self._has_begun, mark is not Mark.END
        if mark is Mark.END:
            self._asked.popleft()
            if self._is_store:
                point = STORE_POINTS.get(str(asked["method"])) if self._response.status < 300 else None
                return Moment(point, self._process, asked) if point else None
            return Moment(Point.ANSWERED, self._process, asked) if asked["method"] == "POST" else None
        if not has_begun and not self._is_store and asked["method"] == "POST":
            return Moment(Point.ANSWERING, self._process, asked)
        return None


class Messages:
    """The messages of one direction, one behind the other, cut into pieces at their heads and ends."""

    def __init__(self, asked: "deque[dict[str, Any]] | None" = None) -> None:
        self._asked = asked  # the requests that these answer, where they are answers
        self._rest = b""
        self._left: int | None = 0  # bytes of the body that are to come; None: until the connection ends
        self._chunks = False
        self._in_head = True
        self.first = ""
        """The first line of the message that is under way."""

    @property
    def status(self) -> int:
        """Of the answer that is under way."""
        words = self.first.split(" ")
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0

    def feed(self, data: bytes) -> Iterator[tuple[bytes, Mark]]:
        """Cuts what has come into pieces. The last bytes of a message are a piece of their own."""
        self._rest += data
        while self._rest:
            piece = self._head() if self._in_head else self._body()
            if piece is None:
                return
            yield piece

    def _head(self) -> tuple[bytes, Mark] | None:
        end = self._rest.find(b"\r\n\r\n")
        if end < 0:
            return None
        head, self._rest = self._rest[: end + 4], self._rest[end + 4 :]
        self.first, *lines = head.decode("latin-1").split("\r\n")
        if self.first.startswith("HTTP/1.1 100"):
            return head, Mark.BODY
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._chunks = "chunked" in fields.get("transfer-encoding", "").lower()
        self._left = self._length(fields)
        if self._left == 0 and not self._chunks:
            return head, Mark.END
        self._in_head = False
        return head, Mark.HEAD

    def _length(self, fields: dict[str, str]) -> int | None:
        if self._chunks:
            return 0
        if "content-length" in fields:
            is_bare = self._asked and self._asked[0]["method"] == "HEAD"
            return 0 if is_bare else int(fields["content-length"])
        return 0 if self._asked is None or self.status in BODILESS else None

    def _body(self) -> tuple[bytes, Mark] | None:
        if self._chunks:
            return self._chunk()
        if self._left is None:
            piece, self._rest = self._rest, b""
            return piece, Mark.BODY
        piece, self._rest = self._rest[: self._left], self._rest[self._left :]
        self._left -= len(piece)
        self._in_head = self._left == 0
        return piece, Mark.END if self._in_head else Mark.BODY

    def _chunk(self) -> tuple[bytes, Mark] | None:
        line = self._rest.find(b"\r\n")
        if line < 0:
            return None
        size = int(self._rest[:line].split(b";")[0], 16)
        whole = line + 2 + size + 2  # the last one has no data; trailers are not used here
        if len(self._rest) < whole:
            return None
        piece, self._rest = self._rest[:whole], self._rest[whole:]
        self._in_head = size == 0
        return piece, Mark.END if size == 0 else Mark.BODY
