"""A picture that hangs: what of the measured seconds is judged, and when it is too much."""

import pytest
from hypothesis import given
from hypothesis.strategies import floats, lists

from benchmarks.hung import Round, beyond, figures

USUAL = [1.0, 2.0, 3.0]
EVEN = Round(USUAL, USUAL)


def later(*by: float) -> Round:
    return Round(USUAL, [usual + late for usual, late in zip(USUAL, by, strict=True)])


TOO_LATE = ["calls that hang delay other workflows by 1.10 s; allowed are 1 s"]


@pytest.mark.parametrize(
    "late",
    [(1.1, 1.1, 1.1), (0, 0, 1.1), (3.1, 0, 0)],
    ids=["all", "the last", "the first, by so much that it is last"],
)
def test_delay_above_a_second_is_told(late: tuple[float, ...]) -> None:
    assert beyond([later(*late)] * 3) == TOO_LATE


def test_delay_of_a_second_is_allowed() -> None:
    assert beyond([later(1.0, 1.0, 1.0)] * 3) == []


def test_one_spoilt_round_of_three_is_noise_and_two_are_not() -> None:
    assert beyond([EVEN, later(9, 9, 9), EVEN]) == []
    assert beyond([later(9, 9, 9), later(9, 9, 9), EVEN])


def test_machine_that_is_slow_throughout_delays_nobody() -> None:
    slow = [3 * usual for usual in USUAL]
    assert beyond([EVEN, Round(slow, slow), Round(slow, slow)]) == []


def test_delay_of_each_round_is_told_beside_the_judged_one() -> None:
    told = figures([EVEN, later(0, 0, 0.5), later(0.2, 0, 0)])
    assert (told["delays_s"], told["delay_s"]) == ([0, 0.5, 0.2], 0.2)


@given(lists(floats(0, 100), min_size=1, max_size=20), floats(0, 10))
def test_who_ends_first_does_not_matter(seconds: list[float], late: float) -> None:
    delayed = [one + late for one in reversed(seconds)]
    assert Round(seconds, delayed).delay_s == pytest.approx(late, abs=1e-6)
