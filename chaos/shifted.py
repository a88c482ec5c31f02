"""Runs a module with a clock that is off: python -m chaos.shifted SECONDS services.writer

Only the time of day is shifted, as by a wrong clock of the machine; what is measured with a monotonic clock is not.
"""

import datetime
import runpy
import sys
import time
from datetime import timedelta, tzinfo
from typing import Any

REAL, REAL_TIME = datetime.datetime, time.time


class _IsAny(type):
    """Every real datetime counts as one of the shifted class."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, REAL)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, REAL)


def shift(seconds: float) -> None:
    """Shifts what every module that is imported from now on takes for the time of day."""

    class Shifted(REAL, metaclass=_IsAny):
        """The datetime of a machine whose clock is off. What it makes are real ones."""

        def __new__(cls, *arguments: Any, **named: Any) -> Any:
            return REAL(*arguments, **named)

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return REAL.now(tz) + timedelta(seconds=seconds)

        @classmethod
        def utcnow(cls) -> Any:
            return REAL.now(datetime.UTC).replace(tzinfo=None) + timedelta(seconds=seconds)

    datetime.datetime = Shifted
    time.time = lambda: REAL_TIME() + seconds


def main() -> None:
    """Becomes the module."""
    seconds, module = sys.argv[1:3]
    sys.argv[:] = [module, *sys.argv[3:]]
    shift(float(seconds))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
