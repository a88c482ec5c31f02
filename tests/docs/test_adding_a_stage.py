"""docs/adding-a-stage.md: whoever does what stands there has a stage that runs, and that all others know."""

import sys
from collections.abc import Generator

import pytest

from local.servers import temporary_folder
from tests.docs.check import EXAMPLES
from tests.docs.example import Copy, copy_with
from worked.example import blocks, fences

ALL_OTHERS = (
    "tests/contracts/test_golden.py",
    "tests/contracts/test_subjects.py::TestWhoHearsWhat",
    "tests/architecture/test_arrows.py",
    "tests/services/projector/test_handlers.py",
    "tests/deploy/test_compose_file.py",
    "tests/deploy/test_make_env.py::test_every_variable_that_compose_insists_on_is_made",
)
"""Tests of the repository that meet every event, work or stage, and so the new ones."""


@pytest.fixture(scope="module")
def copy() -> Generator[Copy]:
    """The repository with the newsletter."""
    with temporary_folder() as folder:
        copy = copy_with(folder, EXAMPLES)
        copy.run(sys.executable, "-m", "deploy.nats_config")  # as the page has its reader do
        yield copy


def test_every_block_says_where_it_belongs() -> None:
    assert len(blocks("adding-a-stage.md")) == fences("adding-a-stage.md")


def test_rules_hold_and_what_knows_all_works_knows_the_new_one(copy: Copy) -> None:
    copy.passes("tests/contracts/test_newsletter.py", "tests/services/newsletter", *ALL_OTHERS)


def test_the_whole_system_runs_with_the_new_stage(copy: Copy) -> None:
    copy.passes("tests/system/test_newsletter.py")
