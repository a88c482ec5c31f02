"""The rights of each NATS user, on a real server: what it needs works, and everything else is refused."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterable

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from chassis import log_copies
from chassis.connection import inbox_of
from chassis.jetstream_log import EPOCH, EPOCH_GET
from chassis.jetstream_store import DIRECT_GET, STREAM
from chassis.topology import SET_UP, USERS
from contracts import subjects
from contracts.envelope import decode
from contracts.events import BlogWritten, WorkflowCancelled
from contracts.services import GATEWAY, PROJECTOR, STAGES, WRITER
from contracts.subjects import EventSubject, WorkflowKey
from tests.chassis.plant import PATIENCE_S, Plant, append_by_id, claimed

ONE = WorkflowKey("local", "w1")
SERVICES = [user for user in USERS if user != SET_UP]


def event(service: str, name: str = "work-claimed") -> str:
    return str(EventSubject(ONE, service, name, 1))


def api(name: str) -> str:
    return f"$JS.API.{name}"


READING_A_COPY = ("CREATE", "RESET", "MSG.NEXT", "DELETE")

MAY_PUBLISH: dict[str, set[str]] = {
    GATEWAY: {
        event(GATEWAY),
        DIRECT_GET,
        subjects.presence(GATEWAY),
        subjects.ROLL_CALL,
        api(f"STREAM.INFO.{STREAM}"),
        *(api(f"CONSUMER.INFO.{STREAM}.{stage}") for stage in STAGES),
    },
    PROJECTOR: {
        DIRECT_GET,
        EPOCH_GET,
        subjects.presence(PROJECTOR),
        api(f"STREAM.INFO.{STREAM}"),
        *(api(f"CONSUMER.{verb}.{STREAM}.{name}") for name in log_copies.NAMES for verb in READING_A_COPY),
    },
    **{
        stage: {
            event(stage),
            subjects.delta(ONE, stage),
            subjects.presence(stage),
            api(f"CONSUMER.MSG.NEXT.{STREAM}.{stage}"),
            api(f"CONSUMER.INFO.{STREAM}.{stage}"),
            api(f"CONSUMER.DURABLE.CREATE.{STREAM}.{stage}"),
            f"$JS.ACK.{STREAM}.{stage}.1.1.1.1.1",
            DIRECT_GET,
        }
        for stage in STAGES
    },
}
"""DESIGN section 3, "Rights": what each user is there for."""

EVERYTHING = {
    *(event(service) for service in SERVICES),
    *(subjects.presence(service) for service in SERVICES),
    subjects.ROLL_CALL,
    *(subjects.delta(ONE, stage) for stage in STAGES),
    *(f"$JS.ACK.{STREAM}.{stage}.1.1.1.1.1" for stage in STAGES),
    *(f"{inbox_of(user)}.somebody.1" for user in USERS),
    DIRECT_GET,
    EPOCH_GET,
    EPOCH,
    "anything",
    "live." + event(GATEWAY, "workflow-cancelled"),
    *(
        api(name)
        for stage in STAGES
        for name in (
            f"CONSUMER.MSG.NEXT.{STREAM}.{stage}",
            f"CONSUMER.INFO.{STREAM}.{stage}",
            f"CONSUMER.DURABLE.CREATE.{STREAM}.{stage}",
            f"CONSUMER.CREATE.{STREAM}.{stage}",
            f"CONSUMER.DELETE.{STREAM}.{stage}",
            f"CONSUMER.PAUSE.{STREAM}.{stage}",
            f"CONSUMER.RESET.{STREAM}.{stage}",
        )
    ),
    *(api(f"CONSUMER.{verb}.{STREAM}.{name}") for name in log_copies.NAMES for verb in READING_A_COPY),
    *(
        api(f"STREAM.{verb}.{STREAM}")
        for verb in ("INFO", "CREATE", "UPDATE", "DELETE", "PURGE", "MSG.GET", "MSG.DELETE", "SNAPSHOT", "RESTORE")
    ),
}

MAY_HEAR: dict[str, set[str]] = {
    SET_UP: set(),
    GATEWAY: {
        subjects.live(ONE),
        subjects.LIVE_EVENTS,
        subjects.every_live(WorkflowCancelled),
        subjects.every_live(BlogWritten),
        subjects.EVERY_PRESENCE,
        subjects.presence(WRITER),
        subjects.ROLL_CALL,
    },
    PROJECTOR: {
        subjects.LIVE_EVENTS,
        subjects.every_live(WorkflowCancelled),
        subjects.every_live(BlogWritten),
        subjects.ROLL_CALL,
    },
    **{stage: {subjects.every_live(WorkflowCancelled), subjects.ROLL_CALL} for stage in STAGES},
}
MAY_BE_HEARD = {
    *(f"{inbox_of(user)}.>" for user in USERS),
    *("_INBOX.>", "_INBOX.*", "live.>", ">", "$JS.>", "$SYS.>"),
    subjects.LOG_SUBJECTS,
    subjects.live(ONE),
    subjects.LIVE_EVENTS,
    subjects.EVERY_PRESENCE,
    subjects.presence(WRITER),
    subjects.ROLL_CALL,
    subjects.every_live(WorkflowCancelled),
    subjects.every_live(BlogWritten),
}


class Prober:
    """A client that does what it likes, and notes what the server refuses."""

    def __init__(self) -> None:
        self.client = Client()
        self._refused: set[str] = set()

    async def connect(self, plant: Plant, user: str) -> None:
        await self.client.connect(
            plant.running.nats_url.split(","),
            user=user,
            password=plant.running.passwords[user],
            error_cb=self._note,
        )

    async def refused(self) -> set[str]:
        """The subjects that were refused. The server answers in order, so all of its refusals are here by now."""
        await self.client.flush()
        await self.client.flush()  # the ping of the first one may overtake what was sent before it
        return self._refused

    async def _note(self, error: Exception) -> None:
        self._refused |= set(re.findall(r'permissions violation for \w+ to "([^"]*)"', str(error).lower()))


@pytest.fixture
async def prober() -> AsyncGenerator[Prober]:
    prober = Prober()
    yield prober
    await prober.client.close()


def lower(texts: Iterable[str]) -> set[str]:
    """As nats-py tells them."""
    return {text.lower() for text in texts}


@pytest.mark.parametrize("user", SERVICES)
async def test_service_may_send_what_it_needs_alone(own_plant: Plant, prober: Prober, user: str) -> None:
    await prober.connect(own_plant, user)
    for subject in EVERYTHING:
        await prober.client.publish(subject, b"{}")
    assert await prober.refused() == lower(EVERYTHING - MAY_PUBLISH[user])


async def test_set_up_may_use_the_api_and_name_the_log_alone(own_plant: Plant, prober: Prober) -> None:
    await prober.connect(own_plant, SET_UP)
    others = {subject for subject in EVERYTHING - {EPOCH} if not subject.startswith("$JS.API.")}
    for subject in others:
        await prober.client.publish(subject, b"{}")
    assert await prober.refused() == lower(others)
    assert "error" not in await own_plant.api(f"STREAM.PURGE.{STREAM}")
    assert "error" not in await own_plant.api(f"STREAM.DELETE.{STREAM}")


@pytest.mark.parametrize("user", USERS)
async def test_user_hears_its_inbox_and_what_it_needs(plant: Plant, prober: Prober, user: str) -> None:
    await prober.connect(plant, user)
    for subject in MAY_BE_HEARD:
        await prober.client.subscribe(subject)  # pyright: ignore[reportUnknownMemberType]
    assert await prober.refused() == lower(MAY_BE_HEARD - MAY_HEAR[user] - {f"{inbox_of(user)}.>"})


@pytest.mark.parametrize("user", SERVICES)
async def test_every_service_reads_histories(plant: Plant, key: WorkflowKey, user: str) -> None:
    await append_by_id(await plant.store(WRITER), key, claimed(), id="one")
    assert (await (await plant.store(user)).read(key)).revision == 1


@pytest.mark.parametrize("user", STAGES)
async def test_cancel_is_heard_by_every_stage(plant: Plant, key: WorkflowKey, user: str) -> None:
    heard: asyncio.Queue[Msg] = asyncio.Queue()
    stage = await plant.connect(user)
    await stage.subscribe(subjects.every_live(WorkflowCancelled), heard.put)
    await stage.flush()
    await append_by_id(await plant.store(GATEWAY), key, WorkflowCancelled(run=1), id="one")
    async with asyncio.timeout(PATIENCE_S):
        while subjects.parse((await heard.get()).subject).key != key:  # another test's
            continue


async def test_event_is_heard_by_the_gateway(plant: Plant, key: WorkflowKey) -> None:
    heard: asyncio.Queue[Msg] = asyncio.Queue()
    gateway = await plant.connect(GATEWAY)
    await gateway.subscribe(subjects.live(key), heard.put)
    await gateway.flush()
    recorded = await append_by_id(await plant.store(WRITER), key, claimed(), id="one")
    message = await asyncio.wait_for(heard.get(), PATIENCE_S)
    headers = message.headers or {}
    assert decode(message.subject, headers, message.data, position=int(headers["Nats-Sequence"])) == recorded
