"""The turns of the tests, as tests/turns.py tells them, are those of tests that there are."""

from tests.architecture.source import ROOT, place, python_files
from tests.turns import FIRST, TOGETHER, place_of, turn

SIMULATED = "tests/simulation/test_simulation.py::test_every_workflow_ends"


def test_turns_are_told_of_tests_that_exist() -> None:
    told = [*TOGETHER, *(first for first in FIRST if first.startswith("tests/"))]
    assert [path for path in told if not (ROOT / path).exists()] == []
    assert {turn for turn in TOGETHER.values() if turn not in FIRST} == set()


def test_tests_of_a_shared_system_take_one_turn() -> None:
    system = {turn(f"tests/system/test_{name}.py::test_it") for name in ("live", "readme", "faults", "of_tomorrow")}
    assert system == {"system"}
    assert turn("tests/system/test_kills.py::test_it") == turn("tests/chaos/test_run.py::test_it") == "kills"


def test_tests_of_a_file_take_one_turn_and_simulations_one_each() -> None:
    assert turn("tests/cli/test_help.py::TestHelp::test_it[a::b]") == "tests/cli/test_help.py"
    assert turn(f"{SIMULATED}[0]") != turn(f"{SIMULATED}[50]")


def test_what_takes_longest_begins_first() -> None:
    begun = ["tests/system/test_kills.py::test_it", f"{SIMULATED}[0]", "tests/local/test_up.py::test_it"]
    assert sorted([*begun, "tests/architecture/test_turns.py::test_it"], key=place_of)[:-1] == begun


def test_no_test_trusts_a_group_that_nobody_sees() -> None:
    wrong = [place(path) for path in python_files("tests") if "mark.xdist_" + "group" in path.read_text()]
    assert not wrong, f"say in tests/turns.py what belongs together; xdist does not see this mark: {wrong}"
