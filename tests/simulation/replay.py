"""Tells one simulated run step by step: .venv/bin/python -m tests.simulation.replay SEED [--workflow N] [--bug NAME]"""

import argparse
import contextlib
import logging

import structlog

from tests.simulation.planted import PLANTED
from tests.simulation.virtual_time import run_virtually
from tests.simulation.world import World


async def replay(seed: int, only: int | None) -> str:
    """-> what broke, or that all holds. `only`: the one workflow whose steps are told, with the faults of all."""

    def tell(workflow: int | None, line: str) -> None:
        if only is None or workflow in (only, None):
            print(line)  # noqa: T201

    return str(await World(seed, tell=tell).run() or "all holds")


def main() -> None:
    """As it is called."""
    parser = argparse.ArgumentParser(description="Tells one simulated run step by step.")
    parser.add_argument("seed", type=int)
    parser.add_argument("--workflow", type=int, help="only the steps of this workflow, by the number it is told with")
    parser.add_argument("--bug", choices=sorted(PLANTED), help="with this bug planted")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with PLANTED[asked.bug]() if asked.bug else contextlib.nullcontext():
        print(run_virtually(replay(asked.seed, asked.workflow)))  # noqa: T201


if __name__ == "__main__":
    main()
