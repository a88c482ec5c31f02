"""docs/changing-an-event.md: the example holds, and old and new code meet as the page says."""

import json
from collections.abc import Generator

import pytest

from chassis.jetstream_log import Entry
from contracts.envelope import ID, TIME, FromTheFuture, decode, encode
from contracts.events import WorkflowRequested
from contracts.subjects import EventSubject
from local.servers import temporary_folder
from services.gateway.problems import HISTORY_UNREADABLE
from services.projector.batch import fold, steps
from services.projector.tables import TABLES
from tests.contracts.given import KEY, NOON, requested
from tests.docs.example import Copy, copy_with
from worked.example import blocks, fences

PAGE = "changing-an-event.md"
SUBJECT = str(EventSubject(KEY, "gateway", "workflow-requested", 1))

READS = """
import sys
from contracts.envelope import decode
read = decode(sys.argv[1], {"ce-id": "i", "ce-time": "2027-03-01T12:00:00+00:00"}, sys.argv[2].encode(), position=1)
print(read.event.version, read.event.newsletter, read.event.topic)
"""
WRITES = """
from datetime import UTC, datetime
from contracts.envelope import encode
from contracts.events import WorkflowRequested
asked = WorkflowRequested(topic="Tea", research=False, platforms=("linkedin",), newsletter=True)
print(encode(asked, id="i", service="gateway", recorded_at=datetime.now(UTC))[1].decode())
"""


@pytest.fixture(scope="module")
def copy() -> Generator[Copy]:
    """The repository with the changed event: newer code than what runs the tests."""
    with temporary_folder() as folder:
        yield copy_with(folder, [PAGE])


def test_every_block_says_where_it_belongs() -> None:
    assert len(blocks(PAGE)) == fences(PAGE)


def test_the_example_and_all_golden_files_hold(copy: Copy) -> None:
    copy.passes(
        "tests/contracts/test_newsletter_request.py",
        "tests/contracts/test_golden.py",
        "tests/contracts/test_upcasters.py",
        "tests/contracts/test_request.py",
        "tests/contracts/test_requests.py",
    )


class TestSideBySide:
    def test_new_code_reads_what_old_code_wrote(self, copy: Copy) -> None:
        _, body = encode(requested(topic="Tea"), id="i", service="gateway", recorded_at=NOON)
        assert copy.python(READS, SUBJECT, body.decode()).split() == ["2", "False", "Tea"]

    def test_old_code_says_that_it_cannot_read_what_new_code_wrote(self, copy: Copy) -> None:
        with pytest.raises(FromTheFuture, match="workflow-requested v2 is newer than v1"):
            decode(SUBJECT, {ID: "i", TIME: NOON.isoformat()}, newer(copy), position=1)

    def test_old_projector_holds_that_workflow_alone(self, copy: Copy) -> None:
        other = SUBJECT.replace(KEY.workflow_id, "another")
        _, body = encode(requested(), id="j", service="gateway", recorded_at=NOON)
        batch = fold(steps([entry(1, SUBJECT, newer(copy)), entry(2, other, body)]), TABLES, {}, {}, {})
        assert (list(batch.held), batch.applied) == ([KEY], 1)
        assert "newer than v1" in batch.held[KEY].error

    def test_old_gateway_answers_as_the_page_says(self) -> None:
        assert (HISTORY_UNREADABLE.status, HISTORY_UNREADABLE.code) == (502, "history-unreadable")


def newer(copy: Copy) -> bytes:
    """The body of an event that the newer code wrote."""
    body = copy.python(WRITES).encode()
    assert json.loads(body)["version"] > WorkflowRequested.model_fields["version"].default
    return body


def entry(position: int, subject: str, body: bytes) -> Entry:
    return Entry(position=position, subject=subject, headers={ID: f"i{position}", TIME: NOON.isoformat()}, body=body)
