"""NATS's protocol, as far as moments are concerned: appends and their answers, pulls, deliveries, acks."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from chaos.wire.moments import Moment, Point
from contracts.envelope import ID
from contracts.subjects import LOG_SUBJECTS, BadToken, parse

CRLF = b"\r\n"
PULL, ACK = b"$JS.API.CONSUMER.MSG.NEXT.", b"$JS.ACK."
LOG = LOG_SUBJECTS.partition("*")[0].encode()

Seen = Iterator[tuple[bytes, Moment | None]]
"""Bytes to pass on, each piece with the moment that it is."""


class NatsTalk:
    """One connection of one process to NATS."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._said, self._told = b"", b""
        self._appends: dict[bytes, dict[str, Any]] = {}

    def said(self, data: bytes) -> Seen:
        """What the process says."""
        self._said += data
        while frame := _frame(self._said, (b"PUB", b"HPUB")):
            self._said = self._said[len(frame) :]
            yield frame, self._moment_said(frame)

    def told(self, data: bytes) -> Seen:
        """What the process is told."""
        self._told += data
        while frame := _frame(self._told, (b"MSG", b"HMSG")):
            self._told = self._told[len(frame) :]
            if frame.startswith(b"INFO "):
                yield without_other_servers(frame), None
            else:
                yield frame, self._moment_told(frame)

    def unanswered(self) -> list[dict[str, Any]]:
        """The appends that no answer came to, when the connection has ended."""
        left, self._appends = [*self._appends.values()], {}
        return left

    def _moment_said(self, frame: bytes) -> Moment | None:
        words, headers, body = taken_apart(frame)
        if words[0] not in (b"PUB", b"HPUB"):
            return None
        subject, reply = words[1], words[2] if len(words) == (4 if words[0] == b"PUB" else 5) else b""
        if subject.startswith(LOG):
            append = {
                "subject": subject.decode(errors="replace"),
                "event": _event(subject),
                "ce_id": headers.get(ID),
                "sha256": hashlib.sha256(body).hexdigest(),
            }
            if reply:
                self._appends[reply] = append
            return Moment(Point.APPENDING, self._process, append)
        if subject.startswith(PULL):
            return Moment(Point.PULLING, self._process)
        if subject.startswith(ACK):
            word = body[:4].decode(errors="replace").strip()
            point = Point.IN_PROGRESS if word == "+WPI" else Point.SETTLING
            return Moment(point, self._process, {"word": word})
        return None

    def _moment_told(self, frame: bytes) -> Moment | None:
        words, headers, body = taken_apart(frame)
        if words[0] not in (b"MSG", b"HMSG"):
            return None
        append = self._appends.pop(words[1], None)
        if append is not None:
            return self._answered(append, headers, body)
        reply = words[3] if len(words) == (5 if words[0] == b"MSG" else 6) else b""
        if reply.startswith(ACK):
            return Moment(Point.DELIVERED, self._process, {"event": _event(words[1])})
        return None

    def _answered(self, append: dict[str, Any], headers: Mapping[str, str], body: bytes) -> Moment:
        try:
            answer = cast(dict[str, Any], json.loads(body))
        except ValueError:  # nobody listens there: a status without a body
            answer = dict[str, Any](error={"description": headers.get("", "no answer that can be read")})
        if "error" not in answer:  # a refusal names a position as well: 0
            return Moment(Point.STORED, self._process, append | {"position": int(answer["seq"])})
        told = answer.get("error", {})
        error = f"{told.get('err_code', '')} {told.get('description', '')}".strip()
        return Moment(Point.REFUSED, self._process, append | {"error": error})


def taken_apart(frame: bytes) -> tuple[list[bytes], dict[str, str], bytes]:
    """The words of a frame's first line, its headers (the status under an empty name), and its body."""
    end = frame.find(CRLF)
    words = frame[:end].split() or [b""]
    words[0] = words[0].upper()
    payload = frame[end + 2 : -2]
    if words[0] in (b"HPUB", b"HMSG"):
        size = int(words[-2])
        first, *lines = payload[:size].decode(errors="replace").split("\r\n")
        pairs = [line.partition(":") for line in lines if line]
        status = first.partition(" ")[2]
        return words, {"": status, **{name.strip(): value.strip() for name, _, value in pairs}}, payload[size:]
    return words, {}, payload


def without_other_servers(info: bytes) -> bytes:
    """The server's greeting without the addresses of its cluster: a client would pass by the proxy to go there."""
    told = cast(dict[str, Any], json.loads(info[5:]))
    told.pop("connect_urls", None)
    return b"INFO " + json.dumps(told).encode() + CRLF


def _frame(data: bytes, with_payload: tuple[bytes, ...]) -> bytes:
    """The first whole frame of these bytes; empty where there is none yet."""
    end = data.find(CRLF)
    if end < 0:
        return b""
    words = data[:end].split()
    if words and words[0].upper() in with_payload:
        whole = end + 2 + int(words[-1]) + 2
        return data[:whole] if len(data) >= whole else b""
    return data[: end + 2]


def _event(subject: bytes) -> str | None:
    try:
        return parse(subject.decode(errors="replace")).event
    except BadToken:
        return None
