"""Rules of the house that a machine can check in the source itself."""

import ast
import re

from tests.architecture.source import place, python_files, texts, tree

CATCHES_EVERYTHING = {"chassis/runner.py", "chassis/consumer.py", "services/projector/batch.py"}
"""Where one workflow's trouble, whatever it is, must not become that of the others."""
SUBJECT = re.compile(r"^(?:live\.|workflow\.|presence\.)|\.workflow\.")
SLEEPERS = {"tests/simulation", "tests/faulty_wire.py"}
"""The simulation's time is virtual: a sleep there takes none. A slow wire is a fault that is tested, not a wait."""


def test_only_one_module_knows_the_subjects() -> None:
    wrong = [
        place(path, line)
        for path in python_files("contracts", "chassis", "services", "local", "cli")
        if place(path) != "contracts/subjects.py"
        for line, text in texts(path)
        if SUBJECT.search(text) and " " not in text
    ]
    assert not wrong, f"build and parse subjects with contracts/subjects.py: {wrong}"


def test_every_file_says_what_it_is_for() -> None:
    wrong = [place(path) for path in python_files() if path.read_text().strip() and not ast.get_docstring(tree(path))]
    assert not wrong, f"begin the file with a docstring that says what it is for: {wrong}"


def test_everything_is_caught_in_few_places_only() -> None:
    wrong = [
        place(path, node.lineno)
        for path in python_files("contracts", "chassis", "services", "local", "cli")
        if place(path) not in CATCHES_EVERYTHING
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")))
        and not _raises_again(node)
    ]
    assert not wrong, f"name the failures that are expected; let the others be seen: {wrong}"


def test_tests_wait_for_progress_and_never_for_seconds() -> None:
    wrong = [
        place(path, node.lineno)
        for path in python_files("tests")
        if not any(place(path).startswith(room) for room in SLEEPERS)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "sleep"
        and not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
        and not _polls(path.read_text().splitlines()[node.lineno - 1])
    ]
    assert not wrong, f"wait until something is seen (tests/waiting.py), not for a time: {wrong}"


def test_nothing_is_left_to_be_done_later() -> None:
    wrong = [
        place(path, number)
        for path in python_files("contracts", "chassis", "services", "local", "cli")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.search(r"\b(?:TODO|FIXME|XXX|NotImplementedError)\b", line)
    ]
    assert not wrong, f"finish it, or write it into an issue: {wrong}"


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _polls(line: str) -> bool:
    return "# between two looks" in line
