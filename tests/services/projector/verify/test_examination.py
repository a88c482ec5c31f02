"""The examination: where all is well nothing differs; what cannot be found out is told as that."""

import pytest

from chassis.database import DatabaseNotSetUp
from contracts.services import PROJECTOR
from services.projector.verify.examination import examine, verify
from services.projector.verify.snapshot import CannotBeChecked
from tests.contracts.given import claimed, requested
from tests.services.projector.press import Press
from tests.services.projector.verify.planted import BROKEN, COFFEE, END, HELD_FROM, TEA, examined


class TestWhenAllIsWell:
    async def test_nothing_differs(self, filled: Press) -> None:
        assert await filled.differences() == []

    async def test_what_was_compared_is_counted(self, filled: Press) -> None:
        report = await examined(filled)
        assert (report.events, report.workflows) == (END, 3)
        assert report.rows == {
            **{"workflows": 3, "blog_posts": 1, "social_media_posts": 1},
            **{"images": 1, "sources": 2},
        }

    async def test_what_is_held_is_listed_with_its_reason(self, filled: Press) -> None:
        ((key, hold),) = (await examined(filled)).books.quarantine.items()
        assert (key, hold.position, hold.events) == (BROKEN, HELD_FROM, 2)
        assert "is not JSON" in hold.error

    async def test_what_the_tables_do_not_contain_yet_is_left_out(self, own_press: Press) -> None:
        await own_press.project(await own_press.record(TEA, requested()))
        await own_press.record(TEA, claimed("blog"))
        await own_press.record(COFFEE, requested())
        report = await examined(own_press)
        assert (report.events, report.workflows, report.differences) == (1, 1, [])

    async def test_progress_is_told_to_the_end(self, filled: Press) -> None:
        told = dict[str, tuple[int, int]]()

        def listen(what: str, done: int, total: int) -> None:
            told[what] = (done, total)

        await examine(await filled.log(), await filled.database(PROJECTOR), told=listen)
        assert told == {"events": (END, END), "workflows": (3, 3), "tables": (5, 5)}

    async def test_an_empty_log_and_empty_tables_agree(self, own_press: Press) -> None:
        async with own_press.projecting():
            await own_press.until_projected(0)
        assert await own_press.differences() == []


class TestWhenItCannotBeChecked:
    async def test_tables_that_are_swapped_meanwhile_are_told(self, filled: Press) -> None:
        await (await filled.database()).execute("DROP SCHEMA read_1 CASCADE")
        with pytest.raises(CannotBeChecked, match="run it again"):
            await examined(filled)

    async def test_a_database_that_was_never_set_up_is_told(self, filled: Press) -> None:
        await (await filled.database()).execute("DROP SCHEMA projection CASCADE")
        with pytest.raises(DatabaseNotSetUp, match="is not set up"):
            await examined(filled)

    async def test_tables_that_nobody_made_yet_are_told(self, own_press: Press) -> None:
        with pytest.raises(CannotBeChecked, match="no projector has run"):
            await examined(own_press)

    async def test_the_connection_can_be_used_afterwards(self, filled: Press) -> None:
        await (await filled.database()).execute("DROP SCHEMA read_1 CASCADE")
        connection = await filled.database(PROJECTOR)
        with pytest.raises(CannotBeChecked):
            await verify(await filled.log(), connection)
        assert await connection.fetchval("SELECT 1") == 1
