"""The log: what it lost is named, what a replica only lacks for now is not, and every history is read."""

import asyncio

from chassis.connection import Connection
from chassis.jetstream_log import Entry, JetStreamLog
from chassis.jetstream_store import STREAM
from contracts.services import PROJECTOR, WRITER
from contracts.subjects import WorkflowKey
from contracts.workflow import EVENTS_MAX
from services.projector.verify.examination import verify
from services.projector.verify.report import Difference
from tests.contracts.given import blog_written, cancelled, requested
from tests.services.projector.press import Press
from tests.services.projector.verify.planted import BROKEN, COFFEE, COFFEE_EVENTS, TEA, TEA_EVENTS, examined, subject_of


class TestLog:
    async def test_a_hole_is_named(self, own_press: Press) -> None:
        await own_press.project(await own_press.record(TEA, *TEA_EVENTS))
        await own_press.api(f"STREAM.MSG.DELETE.{STREAM}", {"seq": 3})
        lines = await own_press.differences()
        assert lines[0] == "log: holds nothing at position 3"
        assert "quarantine local/tea: it is not held, but position 4 cannot be applied" in lines[1]

    async def test_a_log_that_begins_late_is_named(self, own_press: Press) -> None:
        await own_press.record(TEA, *TEA_EVENTS)
        await own_press.project(await own_press.record(COFFEE, *COFFEE_EVENTS))
        await own_press.api(f"STREAM.PURGE.{STREAM}", {"seq": len(TEA_EVENTS) + 1})
        lines = await own_press.differences()
        assert lines[0] == "log: holds nothing at positions 1 to 10"
        assert set(lines[1:]) == {
            f"{table} local/tea: the log knows no such workflow"
            for table in ("workflows", "blog_posts", "social_media_posts", "images", "sources")
        }

    async def test_a_log_that_lost_its_end_is_named(self, own_press: Press) -> None:
        await own_press.project(await own_press.record(TEA, *TEA_EVENTS))
        await own_press.roll_log_back(9)
        lines = await own_press.differences()
        assert lines[0] == "log: ends at position 9, before the checkpoint at 10"
        assert "workflows local/tea: status is 'completed', the log says 'open'" in lines

    async def test_a_log_whose_last_event_was_deleted_is_named(self, own_press: Press) -> None:
        await own_press.project(await own_press.record(TEA, *TEA_EVENTS))
        await own_press.api(f"STREAM.MSG.DELETE.{STREAM}", {"seq": 10})
        assert "log: holds nothing at position 10" in await own_press.differences()

    async def test_other_events_at_the_same_positions_are_named(self, own_press: Press) -> None:
        await own_press.project(await own_press.record(TEA, *TEA_EVENTS))
        await own_press.roll_log_back(9)
        await own_press.record(TEA, cancelled())
        assert "archive position 10: not as in the log: subject, headers, body, sha256" in await own_press.differences()

    async def test_a_workflow_under_a_forbidden_name_is_held_and_compared(self, own_press: Press) -> None:
        subject = str(subject_of(TEA, blog_written(), 1)).replace("tea", "t$a")
        await (await own_press.connection(WRITER)).ask(subject, b"{}", timeout_s=5)
        await own_press.project(1)
        report = await examined(own_press)
        assert (report.differences, list(report.books.quarantine)) == ([], [("local", "t$a")])

    async def test_a_history_longer_than_one_read_is_compared(self, own_press: Press) -> None:
        await own_press.record(TEA, requested())
        await own_press.connection(WRITER)
        revisions = range(2, EVENTS_MAX + 100)
        last = max(await asyncio.gather(*(own_press.publish(TEA, revision, b"") for revision in revisions)))
        await own_press.project(last)
        report = await examined(own_press)
        assert (report.events, report.differences) == (last, [])
        assert report.books.quarantine[TEA].events == last - 1

    async def test_a_history_that_lacks_an_event_of_the_log_is_named(self, filled: Press) -> None:
        class Forgetful(JetStreamLog):
            async def history(self, key: WorkflowKey) -> list[Entry]:
                found = await super().history(key)
                return found[:-1] if key == TEA else found

        forgetful = Forgetful(await filled.connection(PROJECTOR))
        told = await verify(forgetful, await filled.database(PROJECTOR))
        assert told == [Difference("log local/tea", "its history has 9 events, the log 10")]

    async def test_a_replica_that_lags_is_read_again(self, filled: Press) -> None:
        lagging = Lagging(await filled.connection(PROJECTOR))
        assert await verify(lagging, await filled.database(PROJECTOR)) == []
        assert lagging.was_short == {"the log", TEA, COFFEE, BROKEN}


class Lagging(JetStreamLog):
    """A log whose replica lacks the end at first, of each history and of the whole."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.was_short = set[object]()

    async def read(self, after: int, most: int = 256) -> list[Entry]:
        found = await super().read(after, most)
        return self._short_once("the log", found, [])

    async def history(self, key: WorkflowKey) -> list[Entry]:
        found = await super().history(key)
        return self._short_once(key, found, found[:-1])

    def _short_once(self, what: object, whole: list[Entry], short: list[Entry]) -> list[Entry]:
        if what in self.was_short:
            return whole
        self.was_short.add(what)
        return short
