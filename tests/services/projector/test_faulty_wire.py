"""The projector behind a bad wire: whatever breaks at whichever moment, each event is applied once."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from structlog.typing import EventDict

from chassis.jetstream_log import BATCH
from contracts.services import PROJECTOR
from services.projector import projector as projector_module
from services.projector.projector import Projector
from tests.contracts.given import completed, everything, requested
from tests.faulty_wire import Wire, wire
from tests.services.projector.press import Press, made_up, new_key, record_mixed
from tests.waiting import until

COMMIT = b"COMMIT;"


@asynccontextmanager
async def wired(press: Press) -> AsyncGenerator[tuple[Wire, Projector]]:
    """A projector at work that reaches Postgres over a wire."""
    url = press.running.postgres_url(PROJECTOR)
    async with wire(url) as it, press.projecting(it.url(url)) as projector:
        await press.until_projected(await press.record(new_key(), *everything()))
        yield it, projector


@pytest.mark.parametrize("behind", [False, True], ids=["before Postgres hears it", "before its answer is heard"])
async def test_commit_that_is_cut_off_applies_its_batch_once(press: Press, behind: bool) -> None:
    async with wired(press) as (it, _):
        it.cut_at(COMMIT, behind=behind)
        key = new_key()
        await press.record(key, *everything(), completed())
        await it.was_cut()
        await press.until_projected()
        assert (await press.row("workflows", key))["status"] == "completed"
    assert await press.differences() == []


async def test_connections_that_break_again_and_again_lose_and_double_nothing(press: Press) -> None:
    async with wired(press) as (it, _):
        await record_mixed(press, made_up(seed=15, count=20), every=15, then=it.cut)
        await press.until_projected()
    assert await press.differences() == []


async def test_slow_postgres_is_caught_up_with(press: Press) -> None:
    async with wired(press) as (it, projector):
        it.delay(0.1)
        await record_mixed(press, made_up(seed=16, count=20))
        await press.until_projected()
        assert projector.trouble is None
    assert await press.differences() == []


async def test_postgres_that_stands_still_is_told_and_gone_on_with(
    press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector_module, "BATCH_S", 0.2)
    async with wired(press) as (it, projector):
        it.stand_still()
        await press.record(new_key(), requested())
        await press.until_trouble(projector, "does not answer")
        it.go_on()
        await press.until_projected()
        assert projector.trouble is None


async def test_events_that_are_read_and_not_yet_applied_are_measured(press: Press) -> None:
    async with wired(press) as (it, projector):
        it.stand_still()
        await press.record(new_key(), *everything())

        async def is_held() -> bool:
            return projector.batch().length > 0

        async def is_applied() -> bool:
            return projector.batch() == (0, BATCH)

        await until(is_held, "a batch is in its hands")
        it.go_on()
        await until(is_applied, "nothing is")
    assert await press.differences() == []


async def test_outage_is_one_line_and_its_end_another(
    press: Press, monkeypatch: pytest.MonkeyPatch, lines: list[EventDict]
) -> None:
    monkeypatch.setattr(projector_module, "PAUSE_S", 0.01)
    async with wired(press) as (it, projector):
        it.break_off()
        await press.until_trouble(projector, "Postgres")
        await it.was_tried(5)
        await it.mend()
        await press.until_projected(await press.record(new_key(), requested()))
    told = [line["event"] for line in lines if line["event"] in ("projecting", "projection held up")]
    assert told == ["projecting", "projection held up", "projecting"]


async def test_deadlock_costs_a_batch_one_more_try(press: Press) -> None:
    """Somebody holds what the batch needs next, and wants what the batch holds: Postgres ends the batch."""
    operator = await press.database()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'projector' AND wait_event_type = 'Lock'"

    async def waits() -> bool:
        return await operator.fetchval(waiting) > 0

    async with wired(press) as (_, projector):
        await operator.execute("SET deadlock_timeout = '1h'")  # so that it is not the operator who is ended
        async with operator.transaction():
            await operator.execute("LOCK TABLE archive.events IN EXCLUSIVE MODE")
            position = await press.record(new_key(), *everything())
            await until(waits, "the batch waits")
            await operator.fetch("SELECT * FROM projection.checkpoints FOR UPDATE")
            await press.until_trouble(projector, "deadlock detected")
        await press.until_projected(position)
    assert await press.differences() == []
