"""The whole log as the projector reads it: every message, in order, as it stands there, readable or not."""

import pytest

from chassis.event_store import NotAllowed, StoreUnavailable
from chassis.jetstream_log import Entry, JetStreamLog
from chassis.jetstream_store import STREAM
from contracts.envelope import decode
from contracts.services import GATEWAY, PROJECTOR, WRITER
from contracts.subjects import EventSubject, WorkflowKey
from tests.chassis.plant import Plant, append_by_id, claimed, written


async def log_of(plant: Plant) -> JetStreamLog:
    return JetStreamLog(await plant.connect(PROJECTOR))


async def read_all(log: JetStreamLog, *, most: int = 256) -> list[Entry]:
    """From the first to the last, batch by batch."""
    entries = list[Entry]()
    while found := await log.read(len(entries), most=most):
        entries += found
    return entries


async def fill(plant: Plant, key: WorkflowKey, count: int) -> None:
    store = await plant.store(WRITER)
    for number in range(count):
        await append_by_id(store, key, claimed(number + 1), id=f"event-{number + 1}")


async def test_empty_log_has_no_entries_and_ends_at_zero(own_plant: Plant) -> None:
    log = await log_of(own_plant)
    assert (await log.end(), await log.read(0)) == (0, [])


@pytest.mark.parametrize("most", [1, 7, 256])
async def test_batches_of_any_size_are_the_whole_log_in_order(own_plant: Plant, key: WorkflowKey, most: int) -> None:
    await fill(own_plant, key, 20)
    log = await log_of(own_plant)
    entries = await read_all(log, most=most)
    assert [entry.position for entry in entries] == list(range(1, 21))
    assert await log.end() == 20


async def test_entry_is_the_event_that_was_appended(own_plant: Plant, key: WorkflowKey) -> None:
    await fill(own_plant, key, 1)
    (entry,) = await (await log_of(own_plant)).read(0)
    recorded = decode(entry.subject, entry.headers, entry.body, position=entry.position)
    assert (recorded.event, recorded.id, recorded.key, recorded.position) == (claimed(1), "event-1", key, 1)


async def test_large_events_come_in_batches_that_fit(own_plant: Plant, key: WorkflowKey) -> None:
    store = await own_plant.store(WRITER)
    for number in range(12):
        await append_by_id(store, key, written("x" * 900_000), id=str(number))
    entries = await read_all(await log_of(own_plant))
    assert [len(entry.body) > 900_000 for entry in entries] == [True] * 12


@pytest.mark.parametrize(
    "headers",
    [
        {"Status": "503"},
        {"Status": "204", "Description": "EOB"},
        {"Nats-Sequence": "77", "Nats-Subject": "elsewhere"},
        {"ce-id": "é\u2028", "x": ""},
        {},
    ],
    ids=["503", "204", "sequence", "odd", "none"],
)
async def test_headers_that_look_like_the_servers_own_mislead_nobody(
    own_plant: Plant, key: WorkflowKey, headers: dict[str, str]
) -> None:
    writer = await own_plant.connect(WRITER)
    await fill(own_plant, key, 1)
    await writer.ask(str(EventSubject(key, WRITER, "odd", 2)), b"\xff\x00", headers=headers, timeout_s=5)
    await writer.ask(str(EventSubject(key, WRITER, "odd", 3)), b"", timeout_s=5)
    entries = await read_all(await log_of(own_plant))
    assert [(entry.position, entry.body) for entry in entries[1:]] == [(2, b"\xff\x00"), (3, b"")]
    assert entries[1].subject == str(EventSubject(key, WRITER, "odd", 2))


async def test_lost_message_is_a_hole_and_not_the_end(own_plant: Plant, key: WorkflowKey) -> None:
    await fill(own_plant, key, 3)
    await own_plant.api(f"STREAM.MSG.DELETE.{STREAM}", {"seq": 2})
    log = await log_of(own_plant)
    assert [entry.position for entry in await log.read(0)] == [1, 3]
    assert [entry.position for entry in await log.read(1, most=1)] == [3]


async def test_history_is_one_workflows_entries_alone(own_plant: Plant) -> None:
    one, other = WorkflowKey("local", "one"), WorkflowKey("local", "other")
    await fill(own_plant, one, 3)
    await fill(own_plant, other, 2)
    log = await log_of(own_plant)
    assert sorted(entry.position for entry in await log.history(one)) == [1, 2, 3]
    assert await log.history(WorkflowKey("local", "nobody")) == []


async def test_log_that_is_away_is_told(own_plant: Plant) -> None:
    log = await log_of(own_plant)
    await own_plant.api(f"STREAM.DELETE.{STREAM}")
    for asked in (log.end(), log.read(0), log.history(WorkflowKey("local", "w"))):
        with pytest.raises(StoreUnavailable):
            await asked


async def test_gateway_may_not_read_the_logs_id(own_plant: Plant) -> None:
    with pytest.raises(NotAllowed):
        await JetStreamLog(await own_plant.connect(GATEWAY)).epoch()
