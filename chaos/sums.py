"""The sums of a run that a person wants to see at once: what was paid for more often than was needed."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ANSWERED = "answered"
CALLS_OF_ILLUSTRATION = ("scene", "image")


def in_words(folder: Path) -> list[str]:
    """A few lines about calls of the model."""
    calls, works = lines(folder / "calls.jsonl"), Works(lines(folder / "log.jsonl"))
    answered = [call for call in calls if call["outcome"] == ANSWERED]
    lost = [call for call in calls if call["outcome"] == "client-gone"]
    beyond = sum(works.beyond(key, count) for key, count in counted(answered).items())
    share = beyond / len(calls) if calls else 0.0
    return [
        f"the model was called {len(calls)} times: {len(answered)} answered, {len(lost)} lost their process",
        f"paid twice beyond the calls in flight at a kill: {beyond} of {len(calls)} calls ({share:.2%})",
    ]


def lines(path: Path) -> list[dict[str, Any]]:
    """A file of lines."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def counted(calls: list[dict[str, Any]]) -> Counter[tuple[str, str, str | None]]:
    """How often each thing was paid for: topic, kind of call, platform."""
    return Counter((call["topic"], call["kind"], call["platform"]) for call in calls if call["kind"] != "other")


class Works:
    """What the log says of each work: the attempts that were begun."""

    def __init__(self, log: list[dict[str, Any]]) -> None:
        self._topics: dict[str, str] = {}
        self._claims: Counter[tuple[str, str]] = Counter()
        for workflow_id, event, data in events(log):
            self._take(workflow_id, event, data)

    def beyond(self, key: tuple[str, str, str | None], paid: int) -> int:
        """How often this call was paid for beyond once for each attempt that failed or that lost its process, and once
        for the one that did not."""
        topic, kind, platform = key
        work = work_of(kind, platform)
        claims = self._claims[topic, work]
        return max(0, paid - max(1, claims))

    def _take(self, workflow_id: str, event: str, data: dict[str, Any]) -> None:
        if event == "workflow-requested":
            self._topics[workflow_id] = data["topic"]
        elif event == "work-claimed":
            self._claims[self._topics.get(workflow_id, ""), data["work"]] += 1


def events(log: list[dict[str, Any]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Workflow, event and fields of each event that can be read."""
    for entry in log:
        words = entry["subject"].split(".")
        try:
            data = json.loads(base64.b64decode(entry["body"]))
        except ValueError:
            continue
        if len(words) == 6 and isinstance(data, dict):
            yield words[2], words[4], data


def work_of(kind: str, platform: str | None) -> str:
    """The work that a call is for."""
    if kind in CALLS_OF_ILLUSTRATION:
        return "illustration"
    return f"social:{(platform or '').lower()}" if kind == "social" else kind
