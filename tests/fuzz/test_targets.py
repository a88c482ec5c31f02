"""The targets of fuzzing: every seed holds, most are accepted, and any bytes at all are taken."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.__main__ import Outcome, again, prepared, words
from fuzz.targets import TARGETS, Target
from tests.contracts.generated import quick

each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())


@each_target
def test_every_seed_holds(target: Target) -> None:
    seeds = [*target.seeds()]
    assert seeds
    for seed in seeds:
        target.attempt(seed)


@each_target
@given(st.binary(max_size=200))
@quick
def test_any_bytes_are_taken(target: Target, data: bytes) -> None:
    target.attempt(data)


@each_target
@given(st.data())
@quick
def test_seeds_that_were_cut_and_joined_are_taken(target: Target, data: st.DataObject) -> None:
    one, other = data.draw(st.tuples(*[st.sampled_from([*target.seeds()])] * 2))
    target.attempt(one[: data.draw(st.integers(0, len(one)))] + other[data.draw(st.integers(0, len(other))) :])


@each_target
def test_seeds_stand_in_the_folder_that_is_built_on(target: Target, tmp_path: Path) -> None:
    corpus = prepared(target, tmp_path)
    assert {file.read_bytes() for file in corpus.iterdir()} == {*target.seeds()}


def test_broken_target_is_told_with_the_command_that_repeats_it(tmp_path: Path) -> None:
    found = tmp_path / "crash-1"
    told = words(Outcome(TARGETS["events"], 12, 1.0, "Traceback\nAssertionError", found))
    assert f"./run fuzz events --again {found}" in told[-1] and "AssertionError" in "\n".join(told)


def test_whole_target_is_told_with_its_executions() -> None:
    assert words(Outcome(TARGETS["events"], 12_345, 9.7, None, None)) == ["  12,345 executions in 10 s, nothing broken"]


def test_one_input_is_tried_once_more(tmp_path: Path) -> None:
    file = tmp_path / "crash-1"
    file.write_bytes(b"workflow.local.w1.writer.blog-written.1")
    assert again(["subjects"], file) == 0
