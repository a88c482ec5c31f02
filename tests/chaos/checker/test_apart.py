"""The checker is apart: it knows the files of a run, and nothing of the driver that wrote them."""

from tests.architecture.source import ROOT, imports, place, python_files


def test_checker_imports_nothing_of_the_driver() -> None:
    wrong = [
        f"{place(path)} imports {name}"
        for path in python_files("chaos")
        if path.relative_to(ROOT).parts[1] == "checker"
        for name in imports(path)
        if name.split(".")[0] == "chaos" and name.split(".")[:2] != ["chaos", "checker"]
    ]
    assert not wrong, f"a mistake that both share would stay unseen; tell it a second time: {wrong}"
