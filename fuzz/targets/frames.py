"""Frames of a websocket: refused by a sentence, or a request that stands in the log as it was meant."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, cast

from fastapi import WebSocket
from pydantic import BaseModel, ValidationError

from contracts.envelope import decode, encode
from contracts.events import WorkflowRequested
from contracts.requests import ContentRequest, sentence
from contracts.subjects import EventSubject, WorkflowKey
from contracts.websocket import FIRST_FRAMES, FRAME_BYTES_MAX, LATER_FRAMES, error_frame
from contracts.workflow import Workflow, decide
from fuzz.targets.golden import NOON
from services.gateway.full_dialect import understood
from services.gateway.sockets import BadFrame, Socket

SENTENCE_LENGTH_MAX = 4_000
"""However long a frame is, what is said of it is not."""


def first(data: bytes) -> None:
    """The first frame, as services/gateway/content.py takes it."""
    try:
        fields = heard(data)
        if "type" in fields:
            kept(understood(fields, FIRST_FRAMES))
        else:
            kept(old_request(fields))
    except BadFrame as wrong:
        refused(wrong)


def further(data: bytes) -> None:
    """Any frame behind it."""
    try:
        kept(understood(heard(data), LATER_FRAMES))
    except BadFrame as wrong:
        refused(wrong)


def old_request(fields: dict[str, Any]) -> ContentRequest:
    """As services/gateway/old_dialect.py takes it. Raises BadFrame."""
    try:
        return ContentRequest.model_validate(fields)
    except ValidationError as wrong:
        raise BadFrame(sentence(wrong)) from None


def heard(data: bytes) -> dict[str, Any]:
    """The fields of a frame, through the very socket that the gateway reads. Raises BadFrame."""
    socket = loop().run_until_complete(_socket(data))
    return loop().run_until_complete(socket.hear())


def kept(frame: BaseModel) -> None:
    """What was accepted reads the same again; a request stands in the log as it was meant."""
    assert type(frame).model_validate_json(frame.model_dump_json()) == frame
    if isinstance(frame, ContentRequest):
        event = decide(frame.command(), Workflow())
        assert isinstance(event, WorkflowRequested)
        subject = str(EventSubject(WorkflowKey("local", "w1"), "gateway", event.type, 1))
        headers, body = encode(event, id="e1", service="gateway", recorded_at=NOON)
        assert decode(subject, headers, body, position=1).event == event


def refused(wrong: BadFrame) -> None:
    """The sentence is a short one, and can be sent."""
    told = error_frame("bad-frame", str(wrong)).text()
    assert json.loads(told)["payload"] == str(wrong)
    assert 0 < len(str(wrong)) < SENTENCE_LENGTH_MAX


class _Client:
    """A client that sends one frame."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def receive(self) -> Mapping[str, Any]:
        """What a server of websockets hands on: a text, where the frame is one."""
        try:
            return {"type": "websocket.receive", "text": self._data.decode()}
        except UnicodeDecodeError:
            return {"type": "websocket.receive", "bytes": self._data}


async def _socket(data: bytes) -> Socket:
    return Socket(cast(WebSocket, _Client(data)))


@cache
def loop() -> asyncio.AbstractEventLoop:
    """One for all attempts."""
    return asyncio.new_event_loop()


def first_seeds() -> Iterable[bytes]:
    """The examples of the documentation, and what is just not one of them."""
    yield b'{"topic": "The history of tea", "research": true}'
    yield from examples({**FIRST_FRAMES, "old": ContentRequest})
    yield b'{"type": "start", "topic": "' + b"t" * FRAME_BYTES_MAX + b'"}'
    yield b"[" * 2_000


def further_seeds() -> Iterable[bytes]:
    """The examples of the documentation."""
    yield from examples(LATER_FRAMES)


def examples(models: Mapping[str, type[BaseModel]]) -> Iterable[bytes]:
    """What the models themselves give as examples."""
    for model in models.values():
        for example in cast(list[object], model.model_json_schema().get("examples", [])):
            yield json.dumps(example).encode()
