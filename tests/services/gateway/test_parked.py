"""`/parked`: what cannot go on until somebody acts, with its reason, and nothing else."""

from datetime import timedelta
from typing import Any

import pytest

from services.gateway.problems import HISTORY_UNREADABLE
from tests.services.gateway.newsroom import Newsroom
from tests.services.gateway.read_tables import LONG_AGO, ReadTables

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFUSED = {"work": "blog", "code": "content-refused", "message": "The model refuses the topic.", "retryable": False}


async def parked(room: Newsroom, query: str = "") -> list[dict[str, Any]]:
    answer = await room.http.get(f"/parked{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def ids(room: Newsroom, query: str = "") -> list[str]:
    return [one["workflow_id"] for one in await parked(room, query)]


async def test_failed_workflow_is_told_with_its_reason_and_cost(reading_room: Newsroom, tables: ReadTables) -> None:
    used = {"cost_usd": 0.25, "cost_known": False}
    await tables.add_failed(workflow_id="w1", topic="tea", run=2, usage=used, position=9)
    (told,) = await parked(reading_room)
    assert told == {
        "workflow_id": "w1",
        "kind": "failed",
        "topic": "tea",
        "reason": {"code": "quota-used-up", "message": "The quota is used up."},
        "work": "blog",
        "since": (LONG_AGO + timedelta(hours=1)).isoformat().replace("+00:00", "Z"),
        "run": 2,
        "cost_usd": 0.25,
        "cost_known": False,
        "events": None,
        "position": 1,
    }


async def test_held_workflow_is_told_with_what_cannot_be_read(reading_room: Newsroom, tables: ReadTables) -> None:
    await tables.add_workflow(workflow_id="w1", topic="tea")
    await tables.hold("w1", events=3, held_at=LONG_AGO)
    (told,) = await parked(reading_room)
    assert (told["kind"], told["topic"], told["run"], told["work"]) == ("held", "tea", 1, None)
    assert told["reason"] == {"code": HISTORY_UNREADABLE.code, "message": "position 2: it cannot be read"}
    assert (told["events"], told["position"], told["cost_usd"]) == (3, 2, 0.0)


async def test_held_from_its_request_on_it_has_no_topic(reading_room: Newsroom, tables: ReadTables) -> None:
    await tables.hold("w1")
    (told,) = await parked(reading_room)
    assert (told["topic"], told["run"], told["cost_usd"], told["cost_known"]) == (None, None, None, None)


@pytest.mark.parametrize("status", ["open", "completed", "cancelled"])
async def test_what_has_not_failed_is_not_parked(reading_room: Newsroom, tables: ReadTables, status: str) -> None:
    await tables.add_workflow(status=status)
    assert await parked(reading_room) == []


async def test_what_would_fail_again_is_not_parked(reading_room: Newsroom, tables: ReadTables) -> None:
    await tables.add_failed(error=REFUSED)
    assert await parked(reading_room) == []


async def test_what_failed_and_is_held_stands_once_as_held(reading_room: Newsroom, tables: ReadTables) -> None:
    await tables.add_failed(workflow_id="w1")
    await tables.hold("w1")
    assert [one["kind"] for one in await parked(reading_room)] == ["held"]
    assert await parked(reading_room, "?kind=failed") == []


async def test_newest_is_first_whatever_its_kind(reading_room: Newsroom, tables: ReadTables) -> None:
    await tables.add_failed(workflow_id="w1")
    await tables.hold("w2")
    await tables.add_failed(workflow_id="w3")
    assert await ids(reading_room) == ["w3", "w2", "w1"]


@pytest.mark.parametrize(("kind", "told"), [("failed", ["w1"]), ("held", ["w2"])])
async def test_kind_picks(reading_room: Newsroom, tables: ReadTables, kind: str, told: list[str]) -> None:
    await tables.add_failed(workflow_id="w1")
    await tables.hold("w2")
    assert await ids(reading_room, f"?kind={kind}") == told


async def test_unknown_kind_is_refused(reading_room: Newsroom, tables: ReadTables) -> None:
    answer = await reading_room.http.get("/parked?kind=lost")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad-request")


async def test_parked_work_of_others_is_not_told(reading_room: Newsroom, tables: ReadTables) -> None:
    await tables.add_failed(owner="somebody")
    await tables.hold("w2", owner="somebody")
    assert await parked(reading_room) == []


async def test_a_page_is_full_where_others_stand_between(reading_room: Newsroom, tables: ReadTables) -> None:
    await tables.add_failed(workflow_id="w1")
    for _ in range(5):
        await tables.add_failed(error=REFUSED)
        await tables.add_workflow()
    await tables.add_failed(workflow_id="w2")
    assert await ids(reading_room, "?limit=2") == ["w2", "w1"]
