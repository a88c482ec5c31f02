"""What is committed: nothing of a machine, of a registry, or of anybody's secrets; and locks with hashes."""

import re
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, committed_files, place

LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
INDEX = re.compile(r"--(?:extra-)?index-url|--find-links|files\.python" + r"hosted\.org|pypi\." + "org", re.IGNORECASE)
MACHINE = re.compile(r"/home/[a-z]|/" + r"root/|/Users/[a-z]|[A-Z]:\\\\Users|/" + r"work/[a-z]")
SECRET = re.compile(r"sk-(?!canary)[A-Za-z0-9_-]{20,}|tvly-[A-Za-z0-9_-]{16,}|BEGIN [A-Z ]*PRIVATE KEY")
IN_CODE = {"run", "tests/architecture/test_repository.py"}
"""They name the options in order to leave them out."""


def readable() -> list[tuple[Path, str]]:
    return [(path, path.read_bytes().decode(errors="replace")) for path in committed_files()]


@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        (INDEX, "let each machine use its own index"),
        (MACHINE, "find the path from the file's own place, or take it as a setting"),
        (SECRET, "read it from the environment"),
    ],
    ids=["index", "machine", "secret"],
)
def test_no_committed_file_names_what_belongs_elsewhere(pattern: re.Pattern[str], instead: str) -> None:
    wrong = [
        f"{place(path)}: {found[0]}"
        for path, text in readable()
        if place(path) not in IN_CODE and (found := pattern.search(text))
    ]
    assert not wrong, f"{instead}: {wrong}"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_package_has_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    packages = re.findall(r"^([a-z0-9_.\[\]-]+)==", text, re.MULTILINE)
    hashed = re.findall(r"^([a-z0-9_.\[\]-]+)==[^\n]*\\\n(?:[^\n]*--hash=sha256:)", text, re.MULTILINE)
    assert packages
    assert packages == hashed, "make the locks with ./run lock"
    assert "://" not in text


def test_generated_files_are_not_committed() -> None:
    wrong = [
        place(path) for path in committed_files() if {"__pycache__", ".venv", ".boot", ".pressroom"} & set(path.parts)
    ]
    assert not wrong, f"add them to .gitignore: {wrong}"


def test_every_file_of_the_repository_is_of_a_sane_size() -> None:
    wrong = [place(path) for path in committed_files() if path.stat().st_size > 500_000]
    assert not wrong, f"keep large files out of the repository: {wrong}"
