"""How the log and the stages stand, on a real server, asked with the gateway's rights."""

import asyncio

import pytest

from chassis.connection import Connection
from chassis.consumer import Consumer, PulledDelivery
from chassis.event_store import NotAllowed, StoreUnavailable
from chassis.jetstream_log import LogNotSetUp
from chassis.jetstream_store import STREAM
from chassis.standing import ConsumerMissing, Replica, StageStanding, log_standing, stage_standing, stored_at
from contracts.events import WorkflowRequested
from contracts.platforms import Platform
from contracts.services import GATEWAY, PROJECTOR, STAGES, WRITER
from contracts.subjects import WorkflowKey
from tests.chassis.plant import PATIENCE_S, Plant, append_by_id
from tests.waiting import until

ASKED = WorkflowRequested(topic="bees", research=False, platforms=(Platform.LINKEDIN,))


async def request(plant: Plant, *names: str) -> None:
    gateway = await plant.store(GATEWAY)
    for name in names:
        await append_by_id(gateway, WorkflowKey("local", name), ASKED, id=name)


class TestCopiesOfTheLog:
    async def test_server_that_is_alone_tells_none(self, lone_plant: Plant) -> None:
        told = await log_standing(await lone_plant.connect(GATEWAY), timeout_s=PATIENCE_S)
        assert told.replicas == ()

    async def test_cluster_tells_each_with_one_that_leads(self, cluster_plant: Plant) -> None:
        gateway = await cluster_plant.connect(GATEWAY)

        async def all_heard() -> tuple[Replica, ...] | None:  # by a leader that has been chosen this moment
            told = (await log_standing(gateway, timeout_s=PATIENCE_S)).replicas
            return told if all(one.is_there for one in told) else None

        told = await until(all_heard, "the leader has heard of each copy")
        assert [one.server for one in told] == ["pressroom-1", "pressroom-2", "pressroom-3"]
        assert [one.is_leader for one in told].count(True) == 1


async def standing(connection: Connection, stage: str = WRITER) -> StageStanding:
    return await stage_standing(connection, stage, timeout_s=PATIENCE_S)


class TestStages:
    @pytest.mark.parametrize("stage", STAGES)
    async def test_idle_stage_has_nothing_in_hand(self, plant: Plant, stage: str) -> None:
        told = await standing(await plant.connect(GATEWAY), stage)
        assert (told.in_hand, told.redelivered, told.free_slots) == (0, 0, 0)

    async def test_events_wait_until_a_slot_asks_for_them(self, own_plant: Plant) -> None:
        await request(own_plant, "one", "two", "three")
        gateway = await own_plant.connect(GATEWAY)
        assert (await standing(gateway)).waiting == 3
        held = asyncio.Event()

        async def hold(_: PulledDelivery) -> None:
            await held.wait()

        consumer = Consumer(await own_plant.connect(WRITER), WRITER, hold, slots=2)
        working = asyncio.create_task(consumer.run())

        async def are_held() -> bool:
            return consumer.busy == 2 and (await standing(gateway)).waiting == 1

        await until(are_held, "two are in hand", within_s=PATIENCE_S)
        told = await standing(gateway)
        assert (told.in_hand, told.free_slots, consumer.busy) == (2, 0, 2)
        held.set()
        consumer.drain()
        await working
        assert consumer.busy == 0

    async def test_free_slots_are_counted(self, own_plant: Plant) -> None:
        async def nothing(_: PulledDelivery) -> None: ...

        consumer = Consumer(await own_plant.connect(WRITER), WRITER, nothing, slots=3)
        gateway, working = await own_plant.connect(GATEWAY), asyncio.create_task(consumer.run())

        async def all_wait() -> bool:
            return (await standing(gateway)).free_slots == 3

        await until(all_wait, "all slots ask", within_s=PATIENCE_S)
        consumer.drain()
        await working

    async def test_deleted_consumer_has_a_name_of_its_own(self, own_plant: Plant) -> None:
        await own_plant.api(f"CONSUMER.DELETE.{STREAM}.{WRITER}")
        with pytest.raises(ConsumerMissing, match=r"the stage writer has no consumer; run"):
            await standing(await own_plant.connect(GATEWAY))

    async def test_other_services_may_not_ask(self, plant: Plant) -> None:
        with pytest.raises(NotAllowed):
            await standing(await plant.connect(PROJECTOR))


class TestTheLog:
    async def test_it_tells_how_much_it_holds_and_may_hold(self, own_plant: Plant) -> None:
        gateway = await own_plant.connect(GATEWAY)
        empty = await log_standing(gateway, timeout_s=PATIENCE_S)
        await request(own_plant, "one", "two")
        told = await log_standing(gateway, timeout_s=PATIENCE_S)
        assert (empty.events, empty.bytes, empty.last_position, empty.bytes_max) == (0, 0, 0, 1024**3)
        assert (told.events, told.last_position) == (2, 2) and told.bytes > 500
        assert told.told_at >= empty.told_at

    async def test_log_without_a_bound_is_told_so(self, own_plant: Plant) -> None:
        config = (await own_plant.api(f"STREAM.INFO.{STREAM}"))["config"]
        await own_plant.api(f"STREAM.UPDATE.{STREAM}", {**config, "max_bytes": -1})
        assert (await log_standing(await own_plant.connect(GATEWAY), timeout_s=PATIENCE_S)).bytes_max is None

    async def test_missing_log_has_a_name_of_its_own(self, bare_plant: Plant) -> None:
        await bare_plant.api("INFO")  # a cluster has first to agree who leads
        with pytest.raises(LogNotSetUp):
            await log_standing(await bare_plant.connect(GATEWAY), timeout_s=PATIENCE_S)

    async def test_lost_connection_is_the_log_away(self, plant: Plant) -> None:
        gateway = await plant.connect(GATEWAY)
        await gateway.close()
        for asking in (log_standing(gateway, timeout_s=1), standing(gateway), stored_at(gateway, 1, timeout_s=1)):
            with pytest.raises(StoreUnavailable):
                await asking


class TestWhenAnEventWasStored:
    async def test_it_is_told_by_the_servers_clock(self, own_plant: Plant) -> None:
        await request(own_plant, "one")
        gateway = await own_plant.connect(GATEWAY)
        stored = await stored_at(gateway, 1, timeout_s=PATIENCE_S)
        told = await log_standing(gateway, timeout_s=PATIENCE_S)
        assert stored and 0 <= (told.told_at - stored).total_seconds() < PATIENCE_S

    async def test_position_without_an_event_tells_nothing(self, plant: Plant) -> None:
        assert await stored_at(await plant.connect(GATEWAY), 10**9, timeout_s=PATIENCE_S) is None
