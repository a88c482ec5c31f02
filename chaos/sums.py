"""The sums of a run that a person wants to see at once: what was paid for more often than was needed."""

import base64
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ANSWERED, GONE = "answered", "client-gone"
CALLS_OF_ILLUSTRATION = ("scene", "image")
WRITTEN_TWICE = ("blog", "social")
"""A text that does not fit is written once more within the same attempt."""

KILLED = re.compile(r"\(process (\d+)\)")

Attempt = tuple[int, int]
"""Run and number."""


def in_words(folder: Path) -> list[str]:
    """A few lines about workflows, and about calls of the model."""
    calls, killed = lines(folder / "calls.jsonl"), killed_processes(lines(folder / "happened.jsonl"))
    works = Works(lines(folder / "log.jsonl"), killed)
    answered = [call for call in calls if call["outcome"] == ANSWERED]
    lost = sum(call["outcome"] == GONE for call in calls)
    beyond = sum(works.beyond(*key, paid=count) for key, count in counted(answered).items())
    share = beyond / len(calls) if calls else 0.0
    statuses = Counter(row["status"] for row in json.loads((folder / "tables.json").read_text())["workflows"])
    ends = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
    return [
        f"{statuses.total()} workflows: {ends}",
        f"the model was called {len(calls)} times: {len(answered)} answered, {lost} lost their process",
        f"paid twice beyond the calls in flight at a kill: {beyond} of {len(calls)} calls ({share:.2%})",
    ]


def lines(path: Path) -> list[dict[str, Any]]:
    """A file of lines."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def killed_processes(happened: Iterable[Mapping[str, Any]]) -> set[int]:
    """The processes that were killed, by their ids."""
    return {int(found[1]) for one in happened if (found := KILLED.search(one.get("detail", "")))}


def counted(calls: Iterable[Mapping[str, Any]]) -> Counter[tuple[str, str, str | None]]:
    """How often each thing was paid for: topic, kind of call, platform."""
    return Counter((call["topic"], call["kind"], call["platform"]) for call in calls if call["kind"] != "other")


class Works:
    """What the log says of each work: who began which attempt, and which of them ended in an event."""

    def __init__(self, log: Iterable[Mapping[str, Any]], killed: set[int]) -> None:
        self._killed = killed
        self._topics: dict[str, str] = {}
        self._claims: dict[tuple[str, str], dict[Attempt, int]] = defaultdict(dict)
        self._ends: dict[tuple[str, str], dict[Attempt, int]] = defaultdict(dict)
        for workflow_id, event, data in events(log):
            self._take(workflow_id, event, data)

    def beyond(self, topic: str, kind: str, platform: str | None, *, paid: int) -> int:
        """How often this call was paid for beyond once in each attempt that was answered or that lost its process."""
        key = topic, work_of(kind, platform)
        drafts = 2 if kind in WRITTEN_TWICE else 1
        needed = sum(min(calls, drafts) for calls in self._ends[key].values())
        open_claims = [pid for attempt, pid in self._claims[key].items() if attempt not in self._ends[key]]
        needed += sum(drafts for pid in open_claims if pid in self._killed)
        return max(0, paid - max(1, needed))

    def _take(self, workflow_id: str, event: str, data: Mapping[str, Any]) -> None:
        if event == "workflow-requested":
            self._topics[workflow_id] = data["topic"]
            return
        work = data.get("work") or work_made(event, data)
        if work is None or not isinstance(data.get("attempt"), int):
            return
        attempt: Attempt = (data["run"], data["attempt"])
        key = self._topics.get(workflow_id, ""), work
        if event == "work-claimed":
            self._claims[key][attempt] = int(data["worker"].rpartition(":")[2])
        else:
            usage: Mapping[str, Any] = data.get("usage") or {"calls": 1}
            self._ends[key][attempt] = max(1, usage["calls"])


def events(log: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Workflow, event and fields of each event that can be read."""
    for entry in log:
        words = entry["subject"].split(".")
        try:
            data = json.loads(base64.b64decode(entry["body"]))
        except ValueError:
            continue
        if len(words) == 6 and isinstance(data, dict):
            yield words[2], words[4], data


def work_made(event: str, data: Mapping[str, Any]) -> str | None:
    """The work whose result this event records."""
    made = {"research-completed": "research", "blog-written": "blog", "illustration-drawn": "illustration"}
    return f"social:{data.get('platform')}" if event == "social-post-written" else made.get(event)


def work_of(kind: str, platform: str | None) -> str:
    """The work that a call is for."""
    if kind in CALLS_OF_ILLUSTRATION:
        return "illustration"
    return f"social:{(platform or '').lower()}" if kind == "social" else kind
