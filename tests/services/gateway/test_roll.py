"""The roll: who spoke lately is there, who said goodbye or fell silent is not, and nothing that comes can harm it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg

from chassis.connection import Connection
from chassis.health import Health
from chassis.presence import announced
from contracts import subjects
from contracts.presence import HEARD_WITHIN_S, PRESENCE_BYTES_MAX, Presence
from contracts.services import GATEWAY, ILLUSTRATOR, PROJECTOR, RESEARCH, SERVICES, WRITER
from services.gateway import roll as roll_module
from services.gateway.roll import PROCESSES_MAX, Roll
from tests.services.gateway.newsroom import Plant
from tests.services.gateway.read_tables import LONG_AGO
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


A_DAY_S = 86_400.0


class Clock:
    """Time as the test sets it."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def steady(self) -> float:
        return 1_000 + self.passed_s

    def now(self) -> datetime:
        return LONG_AGO + timedelta(seconds=self.passed_s)


@dataclass(frozen=True)
class Hall:
    """A roll, and what it hears."""

    roll: Roll
    clock: Clock

    async def hear(self, service: str, body: bytes) -> None:
        await self.roll.hear(Msg(Client(), subject=subjects.presence(service), data=body))

    async def speaks(self, worker: str, service: str = WRITER, **told: Any) -> None:
        presence = Presence(worker=worker, host="press", started_at=LONG_AGO, parts={"nats": "ok"}, **told)
        await self.hear(service, presence.model_dump_json().encode())

    def there(self, service: str = WRITER) -> list[str]:
        return [heard.presence.worker for heard in self.roll.there(service)]


@dataclass(frozen=True)
class Lines:
    """A log that keeps what is warned of."""

    lines: list[dict[str, str]]

    def warning(self, _: str, **told: str) -> None:
        self.lines.append(told)


@pytest.fixture
def hall() -> Hall:
    clock = Clock()
    return Hall(Roll(clock=clock.now, steady=clock.steady), clock)


class TestWhoIsThere:
    async def test_who_spoke_is_there(self, hall: Hall) -> None:
        await hall.speaks("w1", slots=4, busy=1)
        (heard,) = hall.roll.there(WRITER)
        assert (heard.presence.worker, heard.presence.busy, heard.at) == ("w1", 1, LONG_AGO)

    async def test_last_words_count(self, hall: Hall) -> None:
        await hall.speaks("w1", busy=1)
        hall.clock.passed_s = 5
        await hall.speaks("w1", busy=2)
        (heard,) = hall.roll.there(WRITER)
        assert (heard.presence.busy, heard.at) == (2, LONG_AGO + timedelta(seconds=5))

    async def test_they_are_told_by_service_and_name(self, hall: Hall) -> None:
        for worker, service in (("w2", WRITER), ("r1", RESEARCH), ("w1", WRITER)):
            await hall.speaks(worker, service)
        assert (hall.there(WRITER), hall.there(RESEARCH), hall.there(ILLUSTRATOR)) == (["w1", "w2"], ["r1"], [])

    async def test_who_falls_silent_is_gone(self, hall: Hall) -> None:
        await hall.speaks("w1")
        hall.clock.passed_s = HEARD_WITHIN_S
        assert hall.there() == ["w1"]
        hall.clock.passed_s += 0.1
        assert hall.there() == []

    async def test_who_says_goodbye_is_gone_at_once(self, hall: Hall) -> None:
        await hall.speaks("w1")
        await hall.speaks("w2")
        await hall.speaks("w1", leaving=True)
        assert hall.there() == ["w2"]

    async def test_goodbye_of_a_stranger_changes_nothing(self, hall: Hall) -> None:
        await hall.speaks("w1", leaving=True)
        assert hall.there() == []

    async def test_who_comes_back_is_there_again(self, hall: Hall) -> None:
        await hall.speaks("w1")
        await hall.speaks("w1", leaving=True)
        await hall.speaks("w1")
        assert hall.there() == ["w1"]


class TestWhatIsNoPresence:
    @pytest.mark.parametrize(
        "body",
        [b"", b"\xff", b"{}", b"[" * 10_000, b"{" * PRESENCE_BYTES_MAX, b'{"worker": "w9", "host": "\\u001b[2J"}'],
        ids=lambda body: ascii(body[:8]),
    )
    async def test_it_is_passed_over(self, hall: Hall, body: bytes) -> None:
        await hall.speaks("w1")
        await hall.hear(WRITER, body)
        assert hall.there() == ["w1"]

    async def test_it_cannot_send_anybody_away(self, hall: Hall) -> None:
        await hall.speaks("w1")
        await hall.hear(WRITER, b'{"worker": "w1", "leaving": true}')
        assert hall.there() == ["w1"]

    async def test_unknown_service_is_passed_over(self, hall: Hall) -> None:
        await hall.speaks("x1", "accountant")
        assert all(hall.there(service) == [] for service in SERVICES)

    async def test_other_subject_is_passed_over(self, hall: Hall) -> None:
        await hall.roll.hear(Msg(Client(), subject="anything", data=b"{}"))
        assert all(hall.there(service) == [] for service in SERVICES)

    async def test_flood_of_it_is_one_line_in_the_log(self, hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
        lines = list[dict[str, str]]()
        monkeypatch.setattr(roll_module, "log", Lines(lines))
        for _ in range(100):
            await hall.hear(WRITER, b"{}")
        assert lines == [{"subject": subjects.presence(WRITER), "why": "worker: Field required"}]


class TestTooMany:
    async def test_those_who_are_there_stay_and_further_ones_are_left_out(self, hall: Hall) -> None:
        for number in range(PROCESSES_MAX + 10):
            await hall.speaks(f"w{number:04}")
        hall.clock.passed_s = 10
        await hall.speaks("w0000", busy=7)
        there = hall.roll.there(WRITER)
        assert len(there) == PROCESSES_MAX
        assert (there[0].presence.worker, there[0].presence.busy) == ("w0000", 7)

    async def test_other_services_keep_their_room(self, hall: Hall) -> None:
        for number in range(PROCESSES_MAX + 1):
            await hall.speaks(f"w{number}")
        await hall.speaks("r1", RESEARCH)
        assert hall.there(RESEARCH) == ["r1"]

    async def test_silent_ones_make_room(self, hall: Hall) -> None:
        for number in range(PROCESSES_MAX):
            await hall.speaks(f"w{number}")
        hall.clock.passed_s = HEARD_WITHIN_S + 1
        await hall.speaks("late")
        assert hall.there() == ["late"]


class TestOverNats:
    @pytest_asyncio.fixture(loop_scope="module")
    async def gateway(self, plant: Plant) -> AsyncGenerator[Connection]:
        connection = await plant.connection(GATEWAY)
        yield connection
        await connection.close()

    async def test_process_is_there_until_it_leaves(self, plant: Plant, gateway: Connection) -> None:
        roll, projector = await Roll.listening(gateway), await plant.connection(PROJECTOR)
        await gateway.flush()

        async def is_there() -> bool:
            return [heard.presence.worker for heard in roll.there(PROJECTOR)] == ["p1"]

        async def is_gone() -> bool:
            return not await is_there()

        async with announced(projector, PROJECTOR, Health(), worker="p1"):
            await until(is_there, "it is there")
        await until(is_gone, "it is gone")
        await projector.close()

    async def test_gateway_that_begins_hears_who_has_spoken_long_ago(self, plant: Plant, gateway: Connection) -> None:
        projector = await plant.connection(PROJECTOR)
        async with announced(projector, PROJECTOR, Health(), worker="p2", every_s=A_DAY_S):
            await projector.flush()
            roll = await Roll.listening(gateway)

            async def is_there() -> bool:
                return [heard.presence.worker for heard in roll.there(PROJECTOR)] == ["p2"]

            await until(is_there, "it answers the call")
        await projector.close()

    async def test_hostile_message_is_followed_by_good_ones(self, plant: Plant, gateway: Connection) -> None:
        roll, writer = await Roll.listening(gateway), await plant.connection(WRITER)
        await gateway.flush()
        for body in (b"\0" * 500_000, b"[" * 100_000, b"{}"):
            await writer.publish(subjects.presence(WRITER), body)

        async def is_there() -> bool:
            return len(roll.there(WRITER)) == 1

        async with announced(writer, WRITER, Health(), worker="w1"):
            await until(is_there, "it is there")
        await writer.close()

    async def test_stage_cannot_speak_for_another(self, plant: Plant, gateway: Connection) -> None:
        roll, writer = await Roll.listening(gateway), await plant.connection(WRITER)
        await gateway.flush()
        forged = Presence(worker="r1", host="press", started_at=LONG_AGO, parts={})
        await writer.publish(subjects.presence(RESEARCH), forged.model_dump_json().encode())

        async def is_there() -> bool:
            return bool(roll.there(WRITER))

        async with announced(writer, WRITER, Health(), worker="w1"):  # said after the forged one: it came, if it could
            await until(is_there, "its own words have come")
        assert roll.there(RESEARCH) == []
        await writer.close()
