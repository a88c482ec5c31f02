"""An `.env` as deploy/make-env makes it."""

from pathlib import Path

import pytest

from tests.deploy.composed import env_file, make_env


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """Of a fresh `.env`, in which no model is set."""
    make_env(tmp_path / ".env")
    return env_file(tmp_path / ".env")
