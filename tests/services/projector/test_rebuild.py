"""The rebuild: new tables beside the live ones, the same row for row, and readers who notice nothing."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chassis.jetstream_log import Entry, JetStreamLog
from chassis.jetstream_store import STREAM
from contracts.services import GATEWAY, PROJECTOR
from contracts.subjects import WorkflowKey
from services.projector import rebuild as module
from services.projector.archive import LogInDoubt
from services.projector.generation import Checkpoint
from services.projector.progress import Told
from services.projector.reading import OtherLog
from services.projector.rebuild import CannotRebuild, Rebuild
from services.projector.tables import TABLES
from tests.contracts.given import completed, everything, requested
from tests.services.projector.press import Press, made_up, new_key, record_mixed

ROOT = Path(__file__).resolve().parents[3]


class Killed(Exception):
    """What ends a rebuild in the middle."""


class CutShort(JetStreamLog):
    """A log whose reader dies after so many batches."""

    batches = 2

    async def read(self, after: int, most: int = 256) -> list[Entry]:
        self.batches -= 1
        if self.batches < 0:
            raise Killed
        return await super().read(after, most)


def unheard(_done: int, _of: int) -> None:
    """Nobody listens to the progress."""


async def rebuilt(press: Press, *, adopts: bool = False, told: Told = unheard) -> Checkpoint:
    """Rebuilds with a connection of its own, as `./run rebuild` does."""
    async with press.own_database(PROJECTOR) as connection:
        return await Rebuild(await press.log(), connection, told, adopts).run()


async def killed(press: Press, *, adopts: bool = False) -> None:
    """A rebuild that dies half-way; its connection goes with it."""
    async with press.own_database(PROJECTOR) as connection:
        with pytest.raises(Killed):
            log = CutShort(await press.connection(PROJECTOR))
            await Rebuild(log, connection, unheard, adopts).run()


async def whole_tables(press: Press) -> dict[str, list[Any]]:
    """Every row that readers see, and the checkpoint."""
    connection = await press.database(GATEWAY)
    names = [*(table.name for table in TABLES), "quarantine"]
    rows = {name: await connection.fetch(f"SELECT to_jsonb(t) - 'held_at' AS row FROM read.{name} t") for name in names}  # noqa: S608
    told = {name: sorted((row["row"] for row in found), key=str) for name, found in rows.items()}
    checkpoint = await press.checkpoint()
    return told | {
        "checkpoint": [checkpoint["epoch"], checkpoint["position"], checkpoint["applied"], checkpoint["held"]]
    }


async def schemas(press: Press) -> list[str]:
    """The generations that exist."""
    found = await (await press.database()).fetch("SELECT nspname FROM pg_namespace WHERE nspname ~ '^read_' ORDER BY 1")
    return [one["nspname"] for one in found]


@asynccontextmanager
async def readers(press: Press) -> AsyncGenerator[list[int]]:
    """Reads everything all the while, as clients of the gateway do. -> the number of workflows that each read saw"""
    seen = list[int]()
    stopped = asyncio.Event()

    async def read() -> None:
        async with press.own_database(GATEWAY) as connection:
            while not stopped.is_set():
                counts = [await connection.fetchval(f"SELECT count(*) FROM read.{table.name}") for table in TABLES]  # noqa: S608
                seen.append(counts[0])

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(read())
        yield seen
        stopped.set()


class TestRebuilt:
    async def test_tables_are_the_same_row_for_row(self, own_press: Press) -> None:
        await record_mixed(own_press, made_up(seed=7, count=40))
        poisoned = new_key()
        await own_press.record(poisoned, requested())
        await own_press.publish(poisoned, 2, b"no JSON")
        await own_press.project()
        before = await whole_tables(own_press)
        done = await rebuilt(own_press)
        assert await whole_tables(own_press) == before
        assert (done.generation, await schemas(own_press)) == (2, ["read_2"])
        assert await own_press.differences() == []

    async def test_progress_is_told_up_to_the_end(self, own_press: Press, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "BATCH", 50)
        await record_mixed(own_press, made_up(seed=7, count=40))
        await own_press.project()
        told = list[tuple[int, int]]()

        def hear(done: int, of: int) -> None:
            told.append((done, of))

        done = await rebuilt(own_press, told=hear)
        assert told[-1] == (done.position, done.position)
        assert [position for position, _ in told] == sorted(position for position, _ in told) and len(told) > 3

    async def test_projector_goes_on_with_the_new_tables(self, own_press: Press) -> None:
        key = new_key()
        async with own_press.projecting():
            await own_press.until_projected(await own_press.record(key, *everything()))
            await rebuilt(own_press)
            await own_press.until_projected(await own_press.record(key, completed()))
        assert (await own_press.row("workflows", key))["status"] == "completed"
        assert await own_press.differences() == []

    async def test_rebuild_never_goes_further_than_the_projector(self, own_press: Press) -> None:
        """Else the archive would lack what the projector has not seen."""
        await own_press.record(new_key(), *everything())
        await own_press.project()
        await own_press.record(new_key(), *everything())
        assert (await rebuilt(own_press)).position == 4
        await own_press.project()
        assert await own_press.differences() == []

    async def test_tables_of_another_shape_are_made_anew(self, own_press: Press) -> None:
        await own_press.record(new_key(), *everything())
        await own_press.project()
        await (await own_press.database()).execute("UPDATE projection.checkpoints SET shape = 'older'")
        await rebuilt(own_press)
        await own_press.record(new_key(), *everything())
        await own_press.project()
        assert await own_press.differences() == []


class TestUnderTraffic:
    async def test_readers_see_no_failed_read_and_no_half_built_table(
        self, own_press: Press, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "BATCH", 20)
        monkeypatch.setattr(module, "LAG_MAX", 20)
        await record_mixed(own_press, made_up(seed=8, count=60))
        async with own_press.projecting():
            await own_press.until_projected()
            async with readers(own_press) as seen:
                writing = asyncio.create_task(record_mixed(own_press, made_up(seed=9, count=60)))
                for _ in range(5):
                    await rebuilt(own_press)
                await writing
                await own_press.until_projected()
        assert min(seen) >= 60, "a read saw fewer workflows than there were before"
        assert await own_press.differences() == []

    async def test_one_long_reader_holds_the_others_up_only_shortly(
        self, own_press: Press, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "CHANGE_OVERS_MAX", 2)
        await own_press.record(new_key(), *everything())
        await own_press.project()
        async with own_press.own_database(GATEWAY) as reader, reader.transaction():
            await reader.fetch("SELECT * FROM read.workflows")
            with pytest.raises(CannotRebuild, match="readers held the old tables"):
                await rebuilt(own_press)
        await rebuilt(own_press)
        assert await own_press.differences() == []

    async def test_two_rebuilds_do_not_meet(self, own_press: Press) -> None:
        await own_press.record(new_key(), *everything())
        await own_press.project()
        async with own_press.own_database(PROJECTOR) as connection:
            await connection.execute("SELECT pg_advisory_lock($1)", module.REBUILD_LOCK)
            with pytest.raises(CannotRebuild, match="another rebuild is at work"):
                await rebuilt(own_press)


class TestKilled:
    async def test_old_tables_go_on_serving(self, own_press: Press, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "BATCH", 20)
        monkeypatch.setattr(module, "LAG_MAX", 20)
        await record_mixed(own_press, made_up(seed=10, count=20))
        await own_press.project()
        before = await whole_tables(own_press)
        await killed(own_press)
        assert await whole_tables(own_press) == before
        await own_press.record(new_key(), *everything())
        await own_press.project()
        assert await own_press.differences() == []

    async def test_next_rebuild_clears_up(self, own_press: Press, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "BATCH", 20)
        monkeypatch.setattr(module, "LAG_MAX", 20)
        await record_mixed(own_press, made_up(seed=10, count=20))
        await own_press.project()
        await killed(own_press)
        assert await schemas(own_press) == ["read_1", "read_2"]
        await rebuilt(own_press)
        assert len(await schemas(own_press)) == 1
        assert await own_press.differences() == []


class TestLogInDoubt:
    async def test_another_log_is_refused_and_the_tables_stay(self, own_press: Press, key: WorkflowKey) -> None:
        await own_press.record(key, *everything())
        await own_press.project()
        await own_press.make_log_anew()
        with pytest.raises(OtherLog):
            await rebuilt(own_press)
        assert (await own_press.row("workflows", key))["revision"] == 4

    async def test_another_log_can_be_adopted(self, own_press: Press, key: WorkflowKey) -> None:
        await own_press.record(new_key(), *everything())
        await own_press.project()
        await own_press.make_log_anew()
        await own_press.record(key, *everything())
        await rebuilt(own_press, adopts=True)
        assert await own_press.differences() == []
        await own_press.record(key, completed())
        await own_press.project()
        assert (await own_press.row("workflows", key))["status"] == "completed"
        assert await own_press.differences() == []

    async def test_hole_in_the_log_is_never_skipped(self, own_press: Press, key: WorkflowKey) -> None:
        await own_press.record(key, *everything())
        await own_press.project()
        await own_press.api(f"STREAM.MSG.DELETE.{STREAM}", {"seq": 2})
        with pytest.raises(LogInDoubt, match="event 2 is missing"):
            await rebuilt(own_press)
        assert (await own_press.row("workflows", key))["revision"] == 4

    async def test_log_that_is_not_the_archived_one_is_refused_and_the_tables_stay(
        self, own_press: Press, key: WorkflowKey
    ) -> None:
        await own_press.record(key, *everything())
        await own_press.project()
        await own_press.roll_log_back(2)
        await own_press.record(new_key(), *everything())
        with pytest.raises(LogInDoubt, match="event 3 is not the one that was archived"):
            await rebuilt(own_press)
        assert (await own_press.row("workflows", key))["revision"] == 4

    async def test_adoption_that_was_killed_is_taken_up(
        self, own_press: Press, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "BATCH", 20)
        await own_press.record(new_key(), *everything())
        await own_press.project()
        await own_press.make_log_anew()
        await record_mixed(own_press, made_up(seed=12, count=20))
        await killed(own_press, adopts=True)
        await rebuilt(own_press, adopts=True)
        assert await own_press.differences() == []

    async def test_nothing_to_rebuild_is_a_sentence(self, own_press: Press) -> None:
        with pytest.raises(CannotRebuild, match="there are no read tables yet"):
            await rebuilt(own_press)


class TestCommand:
    """`python -m services.projector.rebuild`, as `./run rebuild` starts it."""

    async def start(self, press: Press, *arguments: str, **changes: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "services.projector.rebuild", *arguments),
            cwd=ROOT,
            env=press.environment(PROJECTOR) | changes,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, press: Press, *arguments: str, **changes: str) -> tuple[int | None, str, str]:
        process = await self.start(press, *arguments, **changes)
        async with asyncio.timeout(30):
            out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    async def test_success_says_what_is_new(self, own_press: Press) -> None:
        await own_press.record(new_key(), *everything())
        await own_press.project()
        code, out, err = await self.run(own_press)
        assert (code, out) == (0, "The read tables are new: 4 events, in read_2.\n")
        assert "Rebuilding the read tables: 100 % (4 of 4)" in err

    async def test_failure_is_one_sentence(self, own_press: Press) -> None:
        code, out, err = await self.run(own_press)
        assert (code, out) == (1, "")
        assert (
            err == "The read tables were not made anew: "
            "there are no read tables yet; the projector makes them when it starts\n"
        )

    async def test_nats_that_is_away_is_one_sentence(self, own_press: Press) -> None:
        code, _, err = await self.run(own_press, PRESSROOM_NATS_URL="nats://127.0.0.1:1")
        last = err.splitlines()[-1]
        assert (code, last) == (
            1,
            "The read tables were not made anew: NATS does not answer at nats://127.0.0.1:1.",
        )

    async def test_postgres_that_is_away_is_one_sentence(self, own_press: Press) -> None:
        code, _, err = await self.run(
            own_press, PRESSROOM_POSTGRES_URL="postgresql://projector:canary@127.0.0.1:1/pressroom"
        )
        assert code == 1 and err.startswith("The read tables were not made anew: ")
        assert "canary" not in err and "Traceback" not in err
