"""How a document's blocks are applied: to lines that are found once, and with plain words where they are not."""

from pathlib import Path

import pytest

from worked.example import Block, DoesNotApply

POT = "leaf = 'oolong'\nminutes = 3\n\ncups = 2\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with one file."""
    (tmp_path / "tea.py").write_text(POT)
    return tmp_path


def apply(folder: Path, how: str, text: str, file: str = "tea.py") -> str:
    """-> the file afterwards"""
    Block("docs/tea.md", 4, how, file, text).apply(folder)
    return (folder / file).read_text()


def test_lines_come_and_go_where_the_others_stand(folder: Path) -> None:
    difference = "-minutes = 3\n+minutes = 4\n \n cups = 2\n+milk = False\n"
    assert apply(folder, "In", difference) == "leaf = 'oolong'\nminutes = 4\n\ncups = 2\nmilk = False\n"


def test_one_block_changes_several_places_of_a_file(folder: Path) -> None:
    assert apply(folder, "In", "+pot = 1\n leaf = 'oolong'\n@@\n-cups = 2\n+cups = 3\n") == (
        "pot = 1\nleaf = 'oolong'\nminutes = 3\n\ncups = 3\n"
    )


def test_addition_stands_behind_two_empty_lines(folder: Path) -> None:
    assert apply(folder, "At the end of", "milk = False\n") == f"{POT}\n\nmilk = False\n"


def test_new_file_is_made_with_its_folders(folder: Path) -> None:
    assert apply(folder, "New file", "milk = 1\n", "fridge/milk.py") == "milk = 1\n"


@pytest.mark.parametrize(
    ("how", "text", "file", "why"),
    [
        ("In", "-minutes = 5\n", "tea.py", "these lines are there 0 times, and not once:\nminutes = 5"),
        ("In", " inutes = 3\n", "tea.py", "these lines are there 0 times"),
        ("In", " minutes = 3\n cups = 2\n", "tea.py", "these lines are there 0 times"),
        ("In", " minutes = 3\n", "coffee.py", "there is no such file"),
        ("At the end of", "milk = 1\n", "coffee.py", "there is no such file"),
        ("New file", "milk = 1\n", "tea.py", "the file is there already"),
    ],
)
def test_what_does_not_fit_is_named_with_its_block_and_file(
    folder: Path, how: str, text: str, file: str, why: str
) -> None:
    with pytest.raises(DoesNotApply) as misfit:
        apply(folder, how, text, file)
    assert str(misfit.value).startswith(f"docs/tea.md, block 4 ({how} {file}): {why}")


def test_lines_that_are_there_twice_are_no_place(folder: Path) -> None:
    (folder / "tea.py").write_text(POT + POT)
    with pytest.raises(DoesNotApply, match="these lines are there 2 times"):
        apply(folder, "In", " cups = 2\n")
