"""The sums of a run: how its workflows ended, and what became of its calls."""

import json
from pathlib import Path

from chaos.sums import in_words


def test_ends_of_workflows_and_of_calls_are_counted(tmp_path: Path) -> None:
    statuses = ("completed", "completed", "cancelled")
    (tmp_path / "tables.json").write_text(json.dumps({"workflows": [{"status": status} for status in statuses]}))
    outcomes = ("answered", "answered", "client-gone", "failed:503", None)
    (tmp_path / "calls.jsonl").write_text("".join(json.dumps({"outcome": one}) + "\n" for one in outcomes))
    assert in_words(tmp_path) == [
        "3 workflows: 2 completed, 1 cancelled",
        "the model was called 5 times: 2 answered, 1 lost their process",
    ]
