"""Refusals: what a client hears over its websocket when something cannot be, and with which code it is closed."""

from dataclasses import dataclass

from chassis.event_store import HistoryDamaged, HistoryShort, LogFull, StoreUnavailable
from contracts.envelope import UnreadableEvent
from contracts.websocket import CloseCode, ErrorFrame, error_frame
from contracts.workflow import AlreadyClosed, HistoryFull, RequestConflict, UnknownWorkflow
from services.gateway.desk import FateUnknown, ResearchIsOff
from services.gateway.sockets import BadFrame


@dataclass(frozen=True)
class Refusal:
    """What is told, and the code with which the socket is closed where that ends it."""

    close: int
    frame: ErrorFrame


def refusal(wrong: Exception) -> Refusal | None:
    """The refusal that this error stands for. None: nobody expected it"""
    match wrong:
        case BadFrame():
            return _refusal(wrong.code, "bad-frame", str(wrong))
        case ResearchIsOff():
            return _refusal(CloseCode.BAD_FRAME, "research-is-off", str(wrong))
        case UnknownWorkflow():
            return _refusal(CloseCode.UNKNOWN_WORKFLOW, "unknown-workflow", str(wrong))
        case RequestConflict():
            return _refusal(CloseCode.CONFLICT, "request-conflict", str(wrong))
        case AlreadyClosed():
            return _refusal(CloseCode.CONFLICT, "already-closed", str(wrong))
        case HistoryFull():
            return _refusal(CloseCode.CONFLICT, "history-full", str(wrong))
        case UnreadableEvent() | HistoryDamaged():
            return _refusal(CloseCode.TRY_AGAIN, "history-unreadable", f"The workflow cannot be read here: {wrong}.")
        case HistoryShort():
            told = "The log has fewer events of this workflow than you have seen. Attach again with `after_revision` 0."
            return _refusal(CloseCode.CONFLICT, "revision-unknown", told)
        case LogFull():
            return _refusal(CloseCode.TRY_AGAIN, "log-full", "The log is full; nothing was recorded.", retryable=True)
        case FateUnknown():
            return _refusal(CloseCode.TRY_AGAIN, "fate-unknown", str(wrong), retryable=True)
        case StoreUnavailable():
            told = "The log does not answer at the moment; try again in a few seconds."
            return _refusal(CloseCode.TRY_AGAIN, "log-unavailable", told, retryable=True)
        case _:
            return None


UNEXPECTED = Refusal(
    CloseCode.TRY_AGAIN,
    error_frame(
        "unexpected",
        "Something unexpected went wrong here; the gateway's log says what. The workflow goes on.",
        retryable=True,
    ),
)
"""What is told of an error that nobody expected: its own words may hold a key or a text."""


def _refusal(close: int, code: str, told: str, *, retryable: bool = False) -> Refusal:
    return Refusal(close, error_frame(code, told, retryable=retryable))
