"""The whole in virtual time: fifty workflows a seed through the real desk, runners, tails and projectors.

A failing seed is told with the history that shows it, and replays exactly:
.venv/bin/python -m tests.simulation.replay SEED
"""

import pytest

from tests.simulation.seeds import simulate, simulate_all
from tests.simulation.telling import Trace

SEEDS = 1_000
BATCH = 50


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_every_workflow_ends_and_nothing_is_lost_doubled_or_paid_in_vain(first: int) -> None:
    broken = simulate_all(range(first, first + BATCH))
    assert not broken, "\n\n".join(str(violation) for violation in broken)


@pytest.mark.parametrize("seed", range(0, 8))
def test_seed_is_repeated_exactly(seed: int) -> None:
    once, again = Trace(), Trace()
    simulate(seed, tell=once)
    simulate(seed, tell=again)
    assert str(once) == str(again)
