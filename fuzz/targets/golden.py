"""The golden files: every shape of event that was ever stored, as seeds."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "contracts" / "golden"
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


def golden() -> Iterable[tuple[str, bytes]]:
    """Type and body of each."""
    for file in sorted(FOLDER.glob("*.json")):
        yield file.name.partition(".")[0], file.read_bytes()
