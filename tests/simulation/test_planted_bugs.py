"""The simulation is tested itself: with any rule taken out it must find a violation, and soon."""

from textwrap import indent

import pytest

from tests.architecture.source import ROOT
from tests.simulation.planted import PLANTED
from tests.simulation.seeds import simulate

SEEDS_MAX = 10

PAGE = (ROOT / "docs" / "reliability-simulation.md").read_text()


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bug_is_found_within_ten_seeds(bug: str) -> None:
    with PLANTED[bug]():
        assert any(simulate(seed) for seed in range(SEEDS_MAX))


def test_page_lists_every_planted_bug() -> None:
    assert [bug for bug in PLANTED if f"- {bug}" not in PAGE.splitlines()] == []


def test_violation_on_the_page_is_found_word_for_word() -> None:
    with PLANTED["acting on any message that comes by"]():
        assert indent(str(simulate(1)), " " * 4) in PAGE
