"""Bugs around the model: what is tried again, and when; and what is told of keys and prompts."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog

import chassis.jetstream_store
import chassis.model
from chaos.planted.bug import Patch
from chassis.model import MODEL_VERDICTS, Model, QuotaUsedUp
from chassis.settings import Settings
from chassis.stage import Retry
from contracts.events import Event, WorkflowRequested

AT_ONCE = timedelta(milliseconds=300)

log = structlog.get_logger("model")


def retry_quota(patch: Patch) -> None:
    """Tries again when the quota is used up. (Before the stages are imported: they copy the table.)"""
    patch.put(MODEL_VERDICTS, QuotaUsedUp, Retry(AT_ONCE))


def ignore_retry_after(patch: Patch) -> None:
    """Tries again at once, whatever the provider asks for."""
    patch.replace(Retry, "delay", lambda _: _at_once)


def _at_once(*_: object) -> timedelta:
    return AT_ONCE


def log_key(patch: Patch) -> None:
    """Says in the log with which key it was set up."""

    def telling(init: Any) -> Any:
        def tells(self: Model, settings: Settings) -> None:
            init(self, settings)
            log.info("set up", key=settings.openai_api_key.get_secret_value())

        return tells

    patch.replace(chassis.model.Model, "__init__", telling)


def put_prompt_into_header(patch: Patch) -> None:
    """Tells the brief in a header, where whoever routes messages reads it."""

    def encoding(encode: Any) -> Any:
        def encodes(event: Event, **told: Any) -> tuple[Mapping[str, str], bytes]:
            headers, body = encode(event, **told)
            if isinstance(event, WorkflowRequested):
                headers = {
                    **headers,
                    "ce-brief": f"{event.brief.tone} {event.topic}".encode("ascii", "replace").decode(),
                }
            return headers, body

        return encodes

    patch.replace(chassis.jetstream_store, "encode", encoding)
