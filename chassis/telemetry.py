"""Structured logs: one line an occurrence, for people or for machines. Never a key, a prompt or a text."""

import logging
import sys
import traceback
from types import TracebackType
from typing import Literal

import structlog


def set_up_logs(service: str, level: str, form: Literal["text", "json"]) -> None:
    """Sets this process's logs up; other libraries' warnings go the same way. Lines go to standard error."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_where),
    ]
    render: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
    )
    numeric = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=render))
    logging.basicConfig(level=max(numeric, logging.WARNING), handlers=[handler], force=True)


def _where(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """Where it happened, the first cause first; without the exceptions' own words, which may quote a key or a text."""
    told, wrong = list[str](), exc_info[1]
    while wrong is not None:
        told.insert(0, "".join([*traceback.format_tb(wrong.__traceback__), type(wrong).__qualname__]))
        wrong = wrong.__cause__ or (None if wrong.__suppress_context__ else wrong.__context__)
    return "\nwhich led to\n".join(told)


class Seldom:
    """Lets one line a cause through in a while, so that a fault that lasts does not flood the log; and one at its end.

    `every_s`: between two lines about what lasts. What was over and comes back is told anew after `again_s`.
    """

    def __init__(self, every_s: float = 60.0, again_s: float = 10.0) -> None:
        self._every_s, self._again_s = every_s, again_s
        self._last: dict[str, float] = {}
        self._lasting: set[str] = set()

    def allows(self, cause: str, now: float) -> bool:
        """Is it time for another line about this cause? `now` in seconds, of any steady clock."""
        wait_s = self._every_s if cause in self._lasting else self._again_s
        if now - self._last.get(cause, -wait_s) < wait_s:
            return False
        if len(self._last) > 1_000:  # causes are few; this only bounds a mistake
            self._last.clear()
            self._lasting.clear()
        self._last[cause] = now
        self._lasting.add(cause)
        return True

    def ends(self, cause: str) -> bool:
        """The cause is over. -> whether there was a line about it, so that its end has to be told as well"""
        was_told = cause in self._lasting
        self._lasting.discard(cause)
        return was_told
