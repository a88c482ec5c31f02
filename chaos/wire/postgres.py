"""Postgres's protocol, as far as moments are concerned: the COMMIT of a transaction."""

import re
import struct
from typing import Any

from chaos.wire.moments import Moment, Point
from chaos.wire.nats import Seen

COMMIT = re.compile(rb"\s*(COMMIT|END)\b", re.IGNORECASE)
TLS_ASKED, CANCEL_ASKED = 80877103, 80877102
"""Codes in the place of a protocol's version; more of a greeting follows only behind the first."""


class PostgresTalk:
    """One connection of one process to Postgres."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._said, self._has_greeted = b"", False

    def said(self, data: bytes) -> Seen:
        """What the process says."""
        self._said += data
        while message := self._first():
            self._said = self._said[len(message) :]
            if moment := self._moment(message):
                yield b"", Moment(Point.BEFORE_COMMIT, self._process)
                yield message, moment
            else:
                yield message, None

    def told(self, data: bytes) -> Seen:
        """What the process is told."""
        yield data, None

    def unanswered(self) -> list[dict[str, Any]]:
        """Nothing of what is said here is an append."""
        return []

    def _first(self) -> bytes:
        """The first whole message of what was said; only the greeting has no letter before its length."""
        letter = 1 if self._has_greeted else 0
        if len(self._said) < letter + 4:
            return b""
        whole = letter + struct.unpack_from("!I", self._said, letter)[0]
        return self._said[:whole] if len(self._said) >= whole else b""

    def _moment(self, message: bytes) -> Moment | None:
        if not self._has_greeted:
            self._has_greeted = struct.unpack_from("!I", message, 4)[0] not in (TLS_ASKED, CANCEL_ASKED)
            return None
        if message[:1] == b"Q" and COMMIT.match(message, 5):
            return Moment(Point.COMMITTING, self._process)
        return None
