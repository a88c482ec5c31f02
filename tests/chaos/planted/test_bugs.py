"""Planted bugs: each really replaces something that exists, and only while it is planted."""

import subprocess
import sys
from collections.abc import Generator

import pytest

from chaos.planted import BUGS
from chaos.planted.bug import Bug, Patch
from contracts.services import SERVICES
from tests.architecture.source import ROOT, imports, place, python_files


@pytest.fixture
def patch() -> Generator[Patch]:
    patch = Patch()
    yield patch
    patch.take_back()


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS.keys())
def test_bug_replaces_something_that_exists(bug: Bug, patch: Patch) -> None:
    bug.plant(patch)
    assert patch.undo


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS.keys())
def test_bug_names_its_services_its_invariants_and_its_faults(bug: Bug) -> None:
    assert bug.services and set(bug.services) <= set(SERVICES)
    assert bug.breaks and set(bug.breaks) <= set(range(1, 15))
    assert bug.faults and bug.workflows > 0


def test_each_invariant_is_broken_by_a_bug() -> None:
    broken = {invariant for bug in BUGS.values() for invariant in bug.breaks}
    assert broken == set(range(1, 15)), "an invariant that was never seen broken may be one that cannot be"


def test_what_does_not_exist_cannot_be_replaced(patch: Patch) -> None:
    with pytest.raises(AttributeError):
        patch.replace(BUGS, "no_such_thing", lambda was: was)
    with pytest.raises(KeyError):
        patch.put({}, "no such key", 1)
    assert not patch.undo


def test_what_was_replaced_is_taken_back() -> None:
    patch, thing = Patch(), {"rule": "kept"}
    patch.put(thing, "rule", "broken")
    patch.take_back()
    assert thing == {"rule": "kept"}


def test_unknown_bug_is_refused() -> None:
    command = [sys.executable, "-m", "chaos.planted", "no-such-bug", "services.writer"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "fence-dropped" in done.stderr


def test_product_knows_nothing_of_planted_bugs() -> None:
    wrong = [
        f"{place(path)} imports {name}"
        for path in python_files("contracts", "chassis", "services", "local", "cli", "deploy")
        for name in imports(path)
        if name.startswith("chaos")
    ]
    assert not wrong, f"a rule is taken out from outside, never by a switch: {wrong}"
