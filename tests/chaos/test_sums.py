"""The sums of a run: a call counts as paid for twice only where no kill and no failure explains it."""

import base64
import json
from typing import Any

from chaos.sums import Works, counted, killed_processes

KILLED = 71


def entry(event: str, **data: Any) -> dict[str, str]:
    subject = ".".join(("workflow", "local", "w1", "writer", event, "1"))
    return {"subject": subject, "body": base64.b64encode(json.dumps(data).encode()).decode()}


REQUESTED = entry("workflow-requested", topic="tea")


def claimed(attempt: int, pid: int) -> dict[str, str]:
    return entry("work-claimed", work="blog", run=1, attempt=attempt, worker=f"writer@host:{pid}")


def written(attempt: int, calls: int = 1) -> dict[str, str]:
    return entry("blog-written", run=1, attempt=attempt, usage={"calls": calls})


def beyond(paid: int, *log: dict[str, str]) -> int:
    return Works([REQUESTED, *log], {KILLED}).beyond("tea", "blog", None, paid=paid)


def test_one_call_for_one_result_is_none_too_many() -> None:
    assert beyond(1, claimed(1, 5), written(1)) == 0


def test_a_second_call_of_the_same_attempt_is_one_too_many() -> None:
    assert beyond(2, claimed(1, 5), written(1)) == 1


def test_a_second_draft_that_the_result_tells_of_is_none() -> None:
    assert beyond(2, claimed(1, 5), written(1, calls=2)) == 0


def test_the_call_of_a_killed_process_is_none() -> None:
    assert beyond(2, claimed(1, KILLED), claimed(2, 5), written(2)) == 0


def test_the_call_of_a_process_that_nobody_killed_is_one() -> None:
    assert beyond(2, claimed(1, 6), claimed(2, 5), written(2)) == 1


def test_a_recorded_failure_accounts_for_its_call() -> None:
    failed = entry("attempt-failed", work="blog", run=1, attempt=1)
    assert beyond(2, claimed(1, 6), failed, claimed(2, 5), written(2)) == 0


def test_killed_processes_are_found_in_what_happened() -> None:
    happened = [{"detail": "writer-1 killed (process 71), calling"}, {"kind": "calm"}]
    assert killed_processes(happened) == {KILLED}


def test_calls_are_counted_by_what_they_are_for() -> None:
    call = {"topic": "tea", "kind": "social", "platform": "x"}
    assert counted([call, call, {**call, "kind": "other"}]) == {("tea", "social", "x"): 2}
