"""Coming back: what a client was sent over all its attachments, judged; and what else is beyond bounds."""

from collections.abc import Sequence

import pytest

from benchmarks.reconnect import Found, Watcher

GOOD = Found(sockets=3, lost=0, gaps=0, all_back_s=10.0)


def told(*attachments: Sequence[int]) -> Watcher:
    """A client that was sent these revisions, attachment by attachment."""
    watcher = Watcher("ws://nowhere", "tea")
    for revisions in attachments:
        watcher.attach()
        for revision in revisions:
            watcher.hear({"type": "event", "revision": revision})
    return watcher


@pytest.mark.parametrize(
    "attachments",
    [
        ([1, 2, 3],),
        ([1, 2], [2, 3]),
        ([1, 2], [], [2, 3]),
        ([1, 2], [2], [2, 3, 4]),
        ([], [1, 2]),
    ],
)
def test_each_revision_in_order_is_no_gap(attachments: tuple[list[int], ...]) -> None:
    assert not told(*attachments).has_gap


@pytest.mark.parametrize(
    ("attachments", "what"),
    [
        (([1, 3],), "missed"),
        (([1, 2], [3]), "missed: it had attached behind 1"),
        (([2, 3],), "missed the first"),
        (([1, 2, 2, 3],), "repeated within an attachment"),
        (([1, 2, 3], [2, 3, 4]), "told what it had attached behind"),
        (([1, 2, 3], [3, 4, 3]), "repeated behind a newer one"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_missed_or_repeated_is_a_gap(attachments: tuple[list[int], ...], what: str) -> None:
    assert told(*attachments).has_gap, what


def test_other_frames_are_no_events() -> None:
    watcher = told([1])
    watcher.hear({"type": "accepted", "revision": 7})
    watcher.hear({"type": "heartbeat"})
    assert watcher.revision == 1 and not watcher.has_gap


def test_it_attaches_behind_the_last_revision_but_one() -> None:
    assert told([1, 2], [2, 3]).attach() == {"type": "attach", "workflow_id": "tea", "after_revision": 2}


def test_all_back_in_ten_seconds_without_a_gap_is_within_bounds() -> None:
    assert GOOD.beyond() == []


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (Found(3, 0, 1, 2.0), "1 of 3 clients missed an event or heard one twice"),
        (Found(3, 2, 0, 60.1), "2 of 3 clients were not back within 60 s"),
        (Found(3, 0, 0, 10.01), "all were back after 10.01 s; allowed are 10 s"),
    ],
)
def test_what_is_beyond_bounds_is_told(found: Found, sentence: str) -> None:
    assert found.beyond() == [sentence]
