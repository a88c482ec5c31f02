"""The end of a benchmark: its figures for programs, a sentence for people, and an exit code for both."""

import json

import pytest

from benchmarks.judging import end


@pytest.mark.parametrize(("beyond", "code"), [([], 0), (["it took too long"], 1)])
def test_figures_are_told_and_what_is_beyond_bounds_ends_with_1(
    beyond: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        end({"seconds": 3}, beyond)
    told = capsys.readouterr()
    assert (ended.value.code, json.loads(told.out), told.err.splitlines()) == (code, {"seconds": 3}, beyond)
