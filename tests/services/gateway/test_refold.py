"""`POST /workflows/{id}/refold`: a projector is asked, and what came of it is told."""

import pytest

from contracts.refolds import Outcome, Refolded
from services.gateway.desk import OWNER
from tests.services.gateway.newsroom import Newsroom
from tests.services.gateway.refolder import refolding

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_workflow_that_is_folded_again_is_told(room: Newsroom) -> None:
    async with refolding(room) as asked:
        answer = await room.http.post("/workflows/w1/refold")
    assert (answer.status_code, [tuple(key) for key in asked]) == (200, [(OWNER, "w1")])
    assert answer.json() == {
        "workflow_id": "w1", "outcome": "folded", "why": None, "position": None, "events": None
    }  # fmt: skip


async def test_workflow_that_is_held_still_is_told_with_the_reason(room: Newsroom) -> None:
    held = Refolded(outcome=Outcome.HELD, why="it is not JSON", position=7, events=2)
    async with refolding(room, held):
        told = (await room.http.post("/workflows/w1/refold")).json()
    assert (told["outcome"], told["why"], told["position"], told["events"]) == ("held", "it is not JSON", 7, 2)


async def test_asking_for_one_that_is_not_held_is_safe(room: Newsroom) -> None:
    async with refolding(room, Refolded(outcome=Outcome.NOT_HELD)):
        answer = await room.http.post("/workflows/w1/refold")
    assert (answer.status_code, answer.json()["outcome"]) == (200, "not-held")


@pytest.mark.parametrize("workflow_id", ["unheard-of", "no.id", "%00"])
async def test_unknown_workflow_is_not_found(room: Newsroom, workflow_id: str) -> None:
    async with refolding(room, Refolded(outcome=Outcome.UNKNOWN)):
        answer = await room.http.post(f"/workflows/{workflow_id}/refold")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-workflow")


async def test_without_a_projector_it_is_worth_another_try(room: Newsroom) -> None:
    answer = await room.http.post("/workflows/w1/refold")
    assert (answer.status_code, answer.json()["code"]) == (503, "no-projector")
    assert "Retry-After" in answer.headers


async def test_projector_that_cannot_tells_why(room: Newsroom) -> None:
    async with refolding(room, Refolded(outcome=Outcome.UNABLE, why="the log has holes")):
        answer = await room.http.post("/workflows/w1/refold")
    assert (answer.status_code, answer.json()["code"]) == (503, "no-projector")
    assert answer.json()["detail"] == "The projector cannot do it at the moment: the log has holes."
