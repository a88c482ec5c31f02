"""The hunt: what counts as found, and that a run without a verdict is no run in which nothing broke."""

import subprocess
import sys
from pathlib import Path

import pytest

from chaos import hunt
from chaos.hunt import NoVerdict, run_in
from chaos.planted import BUGS
from chaos.planted.bug import Bug

BUG = BUGS["fence-dropped"]
HELD = "ok      1  every request ends\nAll invariants hold.\n"
BROKEN = HELD.replace("ok      1", "BROKEN  1") + "BROKEN 12  what\nBROKEN 12  which\n"


def run_that(says: str, verdict: str | None, patch: pytest.MonkeyPatch, folder: Path) -> tuple[int, ...]:
    """What the hunt makes of a run that says this, and leaves this verdict behind."""
    leaves = f"p = pathlib.Path('run'); p.mkdir(); (p / 'verdict.txt').write_text({verdict!r})" if verdict else ""

    def command(_: Bug, __: int, ___: Path) -> list[str]:
        return [sys.executable, "-c", f"import os, pathlib; os.chdir({str(folder)!r}); print({says!r}); {leaves}"]

    patch.setattr(hunt, "command", command)
    return run_in(folder, BUG, 1)


def test_broken_invariants_of_a_run_are_told_once_each(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run_that("", BROKEN, monkeypatch, tmp_path) == (1, 12)


def test_run_in_which_all_holds_has_broken_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run_that("", HELD, monkeypatch, tmp_path) == ()


@pytest.mark.parametrize("verdict", [None, "It cannot be checked: calls.jsonl is missing.\n"])
def test_run_without_a_verdict_ends_the_hunt_with_its_last_words(
    verdict: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(NoVerdict, match=r"fence-dropped, seed 1: the run came to no verdict(.|\n)*no such server"):
        run_that("no such server", verdict, monkeypatch, tmp_path)


def test_hunt_whose_run_cannot_start_ends_with_2_and_shows_why(tmp_path: Path) -> None:
    (tmp_path / "fence-dropped-1" / "run").mkdir(parents=True)
    command = (sys.executable, "-m", "chaos.hunt", "fence-dropped", "--seeds", "1", "--keep", str(tmp_path))
    ended = subprocess.run(command, check=False, cwd=hunt.ROOT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "holds a run already" in ended.stdout
