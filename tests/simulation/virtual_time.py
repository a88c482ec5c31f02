"""An event loop whose time is a number: when nothing is ready, it jumps to the next timer.

It has nothing to do with sockets, threads and signals, and so does little else than to run what is ready: a simulation
of fifty workflows is a million small steps.
"""

import asyncio
import heapq
import itertools
import sys
from asyncio import events
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Stuck(Exception):
    """Nothing is ready and no timer is set: the program under test waits for what can never come."""


class _Call:
    """Something that is to be called, soon or at its time."""

    __slots__ = ("_when", "args", "callback", "context")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None, when: float
    ) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args, self.context, self._when = args, context or copy_context(), when

    def when(self) -> float:
        """See asyncio.TimerHandle."""
        return self._when

    def cancel(self) -> None:
        """See asyncio.Handle."""
        self.callback, self.args = None, ()

    def cancelled(self) -> bool:
        """See asyncio.Handle."""
        return self.callback is None


class VirtualLoop(asyncio.BaseEventLoop):
    """Seconds pass only as timers say. Single-threaded and without I/O, so a run is repeated exactly by its seed."""

    def __init__(self) -> None:
        self._now, self._runs, self._number = 0.0, False, itertools.count()
        self._soon: deque[_Call] = deque()
        self._timers: list[tuple[float, int, _Call]] = []  # those of one time in the order in which they were set
        super().__init__()

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._now

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        """See asyncio."""
        call = _Call(callback, args, context, 0.0)
        self._soon.append(call)
        return cast(asyncio.Handle, call)

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See asyncio."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        """See asyncio."""
        call = _Call(callback, args, context, when)
        heapq.heappush(self._timers, (when, next(self._number), call))
        return cast(asyncio.TimerHandle, call)

    def is_running(self) -> bool:
        """See asyncio."""
        return self._runs

    def stop(self) -> None:
        """See asyncio."""
        self._runs = False

    def run_forever(self) -> None:
        """Runs until `stop`. What a callback raises ends it: in a simulation nothing may go wrong unseen."""
        self._runs, hooks = True, sys.get_asyncgen_hooks()
        firstiter = cast(Any, self)._asyncgen_firstiter_hook  # of BaseEventLoop: it closes who is still open in the end
        sys.set_asyncgen_hooks(firstiter, self._finish)
        events._set_running_loop(self)
        try:
            while self._runs:
                self._take_turns()
        finally:
            self._runs = False
            events._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    def _finish(self, left: AsyncGenerator[Any, Any]) -> None:
        """A generator that nobody holds any more comes to its end."""
        self.create_task(left.aclose())

    def _take_turns(self) -> None:
        """One turn for all that is ready now; what becomes ready meanwhile, and timers that are due, have the next."""
        soon, timers = self._soon, self._timers
        if not soon:
            self._jump()
        while timers and timers[0][0] <= self._now:
            soon.append(heapq.heappop(timers)[2])
        for _ in range(len(soon)):
            call = soon.popleft()
            if call.callback is not None:
                call.context.run(call.callback, *call.args)

    def _jump(self) -> None:
        """To the next timer that was not cancelled. Raises Stuck."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        if not self._timers:
            raise Stuck
        self._now = self._timers[0][0]


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Runs the coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
