"""An `.env` as deploy/make-env makes it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.composed import ROOT, env_file


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """Of a fresh `.env`, in which no model is set."""
    path = tmp_path / ".env"
    subprocess.run([sys.executable, ROOT / "deploy" / "make-env", path], check=True, capture_output=True)
    return env_file(path)
