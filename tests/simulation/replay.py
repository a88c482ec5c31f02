"""Tells one simulated run step by step: python -m tests.simulation.replay SEED"""

import sys

from tests.simulation.virtual_time import run_virtually
from tests.simulation.world import World


async def replay(seed: int) -> str:
    """-> what broke, or that all holds"""
    return await World(seed, tell=True).run() or "holds"


if __name__ == "__main__":
    print(run_virtually(replay(int(sys.argv[1]))))  # noqa: T201
