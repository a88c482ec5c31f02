"""Waiting for progress: until something is seen, never for a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T | None]], what: str, *, within_s: float = 60) -> T:
    """Looks again and again. -> the first thing seen that is not None or False. Fails with `what` it waited for."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                seen = await look()
                if seen is not None and seen is not False:
                    return seen
                await asyncio.sleep(0.03)  # between two looks
    except TimeoutError:
        raise AssertionError(f"waited {within_s:g} s in vain until {what}") from None
