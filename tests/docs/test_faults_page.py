"""The page on faults: every test that it cites exists, and every time that it gives is the one in the code.

The cited tests show what happens when a time is over, and mostly set a shorter one. What the time is, is held here.
"""

import re
from collections.abc import Iterator

import pytest

from chassis import connection, jetstream_log, jetstream_store, majority, object_store
from services.gateway import desk, library, protocols, sockets
from services.gateway.content import FIRST_FRAME_S
from services.projector import projector
from tests.architecture.source import ROOT
from worked.example import DOCS

PAGE = DOCS / "reliability-faults.md"
CITED = re.compile(r"`((?:[\w/]+\.py)?(?:::)?(?:(?:Test|test_)\w*…?(?:::)?)*)`")
TESTS = {path: path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py"))}

NOTICED_MAX_S = connection.PING_S * (connection.PINGS_LOST_MAX + 1)
TIMES = {
    f"after {connection.PING_S * connection.PINGS_LOST_MAX:g} to {NOTICED_MAX_S:g} seconds": "NATS falls silent",
    f"at once; {jetstream_store.READ_TIMEOUT_S:g} s until the silence is noticed": "a read of the log",
    f"{desk.RECORD_S:g} s; most often 16 s": "a request of unknown fate",
    f"{desk.RECORD_S + jetstream_store.READ_TIMEOUT_S:g} s; most often 12 s": "one beside no majority",
    f"{majority.LACKED_S:g} to {majority.LACKED_S + majority.HEARD_WITHIN_S + majority.LOOK_S:g} s. A": "no majority",
    f"at once; {library.READ_S:g} s when it stands still": "a read of the tables",
    f"| {library.REACH_S:g} s, and a read |": "a read that waits for its position",
    f"told after {projector.BATCH_S:g} s": "a Postgres that stands still",
    f"goes on. Each event is applied once | {projector.SILENCE_S:g} s |": "a silent projector",
    f"batches of up to {jetstream_log.BATCH} events": "a batch",
    f"at once; {object_store.GET_S:g} s when it stands still": "a picture",
    f"is hung up on after {protocols.ARRIVAL_S:g} s": "a request that does not come whole",
    f"an `error` frame and 4400 after {FIRST_FRAME_S:g} s": "a client that says nothing",
    f"1013 after {sockets.SEND_S:g} s, if it reads on within another {sockets.SEND_S:g} s": "a slow client",
    f"what lies unread is cut off after {sockets.UNREAD_S:g} s": "what the kernel holds",
}
"""By what the page says: of whom."""


def cited() -> Iterator[str]:
    """The tests that the page names: a file, a class, a test, or a test within one of these."""
    for name in CITED.findall(PAGE.read_text()):
        if "test_" in name or "Test" in name:
            yield name


def exists(name: str) -> bool:
    """Is there a test file that has all of this? `…` stands for the rest of a name."""
    parts = name.split("::")
    file = parts.pop(0) if parts[0].endswith(".py") else ""
    wanted = [
        re.compile(rf"(?:def|class) {re.escape(part.removesuffix('…'))}{'' if part.endswith('…') else '[(:]'}")
        for part in parts
    ]
    return any(
        all(one.search(text) for one in wanted) for path, text in TESTS.items() if path.as_posix().endswith(file)
    )


def test_every_test_that_is_cited_exists() -> None:
    names = list(cited())
    assert names and not [name for name in names if not exists(name)]


@pytest.mark.parametrize("told", TIMES, ids=TIMES.values())
def test_time_that_is_told_is_the_one_in_the_code(told: str) -> None:
    assert told in " ".join(PAGE.read_text().split())
