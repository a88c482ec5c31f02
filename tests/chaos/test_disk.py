"""The small disk of the log's server: only where the plan fills it, and only for root."""

import os
from pathlib import Path

import pytest

from chaos.faults.disk import small_disk
from chaos.ground import CannotStart
from chaos.plan import ALL, DISK_FULL, plan


def test_ordinary_user_is_told_that_it_takes_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    drawn = plan(seed=1, workflows=1, faults=[DISK_FULL])
    with pytest.raises(CannotStart, match="only root"), small_disk(drawn, tmp_path / "data"):
        pass
    assert not (tmp_path / "data").exists()


def test_other_faults_need_no_disk_of_their_own(tmp_path: Path) -> None:
    with small_disk(plan(seed=1, workflows=1, faults=[ALL]), tmp_path / "data"):
        assert not (tmp_path / "data").exists()
