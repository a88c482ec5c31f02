"""Running seeds, one after the other."""

import gc
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from tests.simulation.telling import Tell, Violation
from tests.simulation.virtual_time import run_virtually
from tests.simulation.world import World

COLLECT_EVERY = 20


def simulate(seed: int, *, tell: Tell | None = None) -> Violation | None:
    """-> None, or what broke."""

    async def run() -> Violation | None:
        return await World(seed, tell=tell).run()

    return run_virtually(run())


def simulate_all(seeds: Iterable[int]) -> list[Violation]:
    """What broke in any of them."""
    broken = list[Violation]()
    with _collected_seldom():
        for number, seed in enumerate(seeds):
            if violation := simulate(seed):
                broken.append(violation)
            if number % COLLECT_EVERY == 0:
                gc.collect()
    return broken


@contextmanager
def _collected_seldom() -> Generator[None]:
    """A run leaves thousands of small cycles: to look for them all the time takes a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
