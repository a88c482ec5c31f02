"""The simulation is tested itself: with any rule taken out it must find a violation, and soon."""

import pytest

from tests.architecture.source import ROOT
from tests.simulation.planted import PLANTED
from tests.simulation.seeds import simulate

SEEDS_MAX = 10


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bug_is_found_within_ten_seeds(bug: str) -> None:
    with PLANTED[bug]():
        assert any(simulate(seed) for seed in range(SEEDS_MAX))


def test_page_lists_every_planted_bug() -> None:
    listed = (ROOT / "docs" / "reliability-simulation.md").read_text().splitlines()
    assert [bug for bug in PLANTED if not any(line.startswith(f"| {bug} |") for line in listed)] == []
