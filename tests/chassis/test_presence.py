"""Presence on real NATS: a process says that it is there, again and again, how it is, and goodbye."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st
from nats.aio.msg import Msg

from chassis.health import Health
from chassis.presence import Load, announced, present
from contracts import subjects
from contracts.presence import Presence
from contracts.services import GATEWAY, PROJECTOR, SERVICES, WRITER
from tests.chassis.plant import PATIENCE_S, Plant
from tests.contracts.generated import quick

OFTEN_S = 0.01


class Listener:
    """What the gateway hears of one service."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._heard: asyncio.Queue[Presence] = asyncio.Queue()

    async def hear(self, message: Msg) -> None:
        if subjects.whose_presence(message.subject) == self._service:
            self._heard.put_nowait(Presence.read(message.data))

    async def next(self) -> Presence:
        async with asyncio.timeout(PATIENCE_S):
            return await self._heard.get()

    async def until_leaves(self) -> Presence:
        while not (told := await self.next()).leaving:
            continue
        return told


async def listener(plant: Plant, service: str) -> Listener:
    gateway, listener = await plant.connect(GATEWAY), Listener(service)
    await gateway.subscribe(subjects.EVERY_PRESENCE, listener.hear)
    await gateway.flush()
    return listener


@pytest.fixture
async def heard(plant: Plant) -> AsyncGenerator[Listener]:
    yield await listener(plant, WRITER)


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_is_heard_as_soon_as_it_is_there(plant: Plant, service: str) -> None:
    heard = await listener(plant, service)
    async with announced(await plant.connect(service), service, Health(), worker=f"{service}@press:1"):
        told = await heard.next()
    assert (told.worker, told.leaving) == (f"{service}@press:1", False)


async def test_process_goes_on_saying_so(plant: Plant, heard: Listener) -> None:
    async with announced(await plant.connect(WRITER), WRITER, Health(), worker="w", every_s=OFTEN_S):
        told = [await heard.next() for _ in range(3)]
    assert len(told) == 3 and len({one.started_at for one in told}) == 1


async def test_goodbye_is_said_last(plant: Plant, heard: Listener) -> None:
    async with announced(await plant.connect(WRITER), WRITER, Health(), worker="w"):
        assert not (await heard.next()).leaving
    assert (await heard.next()).leaving


async def test_goodbye_is_said_when_the_work_breaks_too(plant: Plant, heard: Listener) -> None:
    with pytest.raises(RuntimeError):
        async with announced(await plant.connect(WRITER), WRITER, Health(), worker="w"):
            raise RuntimeError
    assert (await heard.until_leaves()).worker == "w"


async def test_health_and_load_are_those_of_the_moment(plant: Plant, heard: Listener) -> None:
    trouble, load = list[str](), Load(4, 0)
    health = Health(consumer=lambda: trouble[0] if trouble else None)
    async with announced(await plant.connect(WRITER), WRITER, health, worker="w", load=lambda: load, every_s=OFTEN_S):
        first = await heard.next()
        trouble.append("it is refused")
        load = Load(4, 3)
        while (later := await heard.next()).is_ready:
            continue
    assert (first.parts, first.slots, first.busy) == ({"consumer": "ok"}, 4, 0)
    assert (later.parts, later.slots, later.busy) == ({"consumer": "it is refused"}, 4, 3)


async def test_changed_health_is_said_before_its_time(plant: Plant, heard: Listener) -> None:
    trouble = list[str]()
    health = Health(consumer=lambda: trouble[0] if trouble else None)
    connection, never_s = await plant.connect(WRITER), 3_600
    async with announced(connection, WRITER, health, worker="w", every_s=never_s, look_s=OFTEN_S):
        assert (await heard.next()).is_ready
        trouble.append("it is refused")
        assert (await heard.next()).parts == {"consumer": "it is refused"}
        trouble.clear()
        assert (await heard.next()).is_ready


async def test_service_without_slots_tells_none(plant: Plant) -> None:
    heard = await listener(plant, PROJECTOR)
    async with announced(await plant.connect(PROJECTOR), PROJECTOR, Health(), worker="p"):
        told = await heard.next()
    assert (told.slots, told.busy) == (None, None)


async def test_lost_connection_ends_nothing(plant: Plant) -> None:
    connection = await plant.connect(WRITER)
    async with asyncio.timeout(PATIENCE_S), announced(connection, WRITER, Health(), worker="w", every_s=OFTEN_S):
        await connection.close()


async def test_silence_of_a_killed_server_is_followed_by_more(own_plant: Plant) -> None:
    heard, connection = Listener(WRITER), await own_plant.connect(WRITER)
    gateway = await own_plant.connect(GATEWAY)
    await gateway.subscribe(subjects.EVERY_PRESENCE, heard.hear)
    await gateway.flush()
    async with announced(connection, WRITER, Health(), worker="w", every_s=OFTEN_S):
        await heard.next()
        await own_plant.kill(connection, gateway)
        await gateway.flush()
        while heard._heard.qsize():  # pyright: ignore[reportPrivateUsage]
            await heard.next()
        assert (await heard.next()).worker == "w"


@quick
@for_any(st.text(), st.dictionaries(st.text(), st.text(min_size=1)), st.booleans())
def test_any_health_report_can_be_told(worker: str, report: dict[str, str], leaving: bool) -> None:
    told = present(worker, report, None, leaving=leaving)
    assert Presence.read(told.model_dump_json().encode()) == told
