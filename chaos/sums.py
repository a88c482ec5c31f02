"""The sums of a run that a person wants to see at once. What was paid for twice the checker tells, which judges it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

ANSWERED, GONE = "answered", "client-gone"


def in_words(folder: Path) -> list[str]:
    """Two lines: about workflows, and about calls of the model."""
    statuses = Counter(row["status"] for row in json.loads((folder / "tables.json").read_text())["workflows"])
    ends = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
    calls = lines(folder / "calls.jsonl")
    outcomes = Counter(call["outcome"] for call in calls)
    return [
        f"{statuses.total()} workflows: {ends}",
        f"the model was called {len(calls)} times: {outcomes[ANSWERED]} answered, {outcomes[GONE]} lost their process",
    ]


def lines(path: Path) -> list[dict[str, Any]]:
    """A file of lines."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
