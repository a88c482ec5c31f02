"""`/asyncapi.json`: what is said over the websocket, made from the very models that the gateway speaks with.

The form is AsyncAPI 3.0: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

import re
from collections.abc import Iterable
from typing import Any, cast

from pydantic import BaseModel

from contracts.old_dialect import Frame
from contracts.requests import ContentRequest
from contracts.websocket import (
    Accepted,
    Attach,
    Cancel,
    CloseCode,
    DeltaFrame,
    ErrorFrame,
    EventFrame,
    Heartbeat,
    Ping,
    Pong,
    Resume,
    Start,
)

FROM_CLIENT: dict[str, type[BaseModel]] = {
    "start": Start,
    "attach": Attach,
    "cancel": Cancel,
    "resume": Resume,
    "ping": Ping,
    "oldRequest": ContentRequest,
}
TO_CLIENT: dict[str, type[BaseModel]] = {
    "event": EventFrame,
    "delta": DeltaFrame,
    "accepted": Accepted,
    "pong": Pong,
    "heartbeat": Heartbeat,
    "error": ErrorFrame,
    "oldFrame": Frame,
}
"""Every message, by its name in the document."""

CLOSE_CODES: dict[int, str] = {
    CloseCode.DONE: "the run is over",
    CloseCode.TRY_AGAIN: "attach again in a while, behind your last revision: the client was too slow, or the log away",
    CloseCode.BAD_FRAME: "a frame is not what it has to be",
    CloseCode.UNKNOWN_WORKFLOW: "there is no such workflow",
    CloseCode.CONFLICT: "the request id was used for another request, or the log has fewer revisions than you",
    CloseCode.FRAME_TOO_LARGE: "a frame is above 64 KiB; 1009 above 1 MiB",
    CloseCode.TOO_MANY: "too many sockets are open",
}

DESCRIPTION = """
One websocket follows one workflow. It is only a window: closing it, or losing it, stops nothing, and any number of
devices may follow the same workflow.

The first frame says what is wanted: `start` or `attach`. Then come the workflow's events, each revision once, in order;
between them `delta`s of the texts that are being written, and a `heartbeat` when nothing happens. The client may send
`cancel`, `resume` and `ping` at any time. A client that was cut off attaches again with the last revision that it has.
Ten seconds after the end of a run the server closes, unless the workflow is resumed.

A first frame without a `type` speaks the old dialect: it starts a workflow, and is answered with a fixed row of texts.

`payload` is always a string. Close codes: """


def asyncapi(version: str) -> dict[str, Any]:
    """The document, for this version of Pressroom."""
    schemas: dict[str, Any] = {}
    messages = {name: _message(name, model, schemas) for name, model in (FROM_CLIENT | TO_CLIENT).items()}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Pressroom", "version": version, "description": _description()},
        "defaultContentType": "application/json",
        "channels": {
            "content": {
                "address": "/content",
                "title": "A workflow, live",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            }
        },
        "operations": {
            "listen": _operation("receive", "What a client may send", FROM_CLIENT),
            "tell": _operation("send", "What a client is told", TO_CLIENT),
        },
        "components": {"messages": messages, "schemas": schemas},
    }


def _description() -> str:
    codes = "; ".join(f"{code} {when}" for code, when in CLOSE_CODES.items())
    return f"{DESCRIPTION.strip()} {codes}."


def _operation(action: str, title: str, models: Iterable[str]) -> dict[str, Any]:
    """`action` is the server's: it receives what a client sends."""
    return {
        "action": action,
        "title": title,
        "channel": {"$ref": "#/channels/content"},
        "messages": [{"$ref": f"#/channels/content/messages/{name}"} for name in models],
    }


def _message(name: str, model: type[BaseModel], schemas: dict[str, Any]) -> dict[str, Any]:
    """The message; its schema, and those that it is made of, go into `schemas`."""
    mode = "serialization" if model in TO_CLIENT.values() else "validation"
    schema = model.model_json_schema(mode=mode, ref_template="#/components/schemas/{model}")
    schemas.update(cast(dict[str, Any], schema.pop("$defs", {})))
    examples = cast(list[object], schema.get("examples", []))
    schemas[model.__name__] = schema
    summary, _, _ = (model.__doc__ or "").partition("\n")
    return {
        "name": name,
        "title": _words(name),
        "summary": summary,
        "description": " ".join((model.__doc__ or "").split()),
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        "examples": [{"payload": example} for example in examples],
    }


def _words(name: str) -> str:
    return re.sub("([A-Z])", lambda capital: f" {capital[1].lower()}", name).capitalize()
