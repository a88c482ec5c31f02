"""`/asyncapi.json`: complete, and true to what the gateway speaks."""

import re
from typing import Any

import jsonschema_rs
import pytest

from contracts.websocket import FIRST_FRAMES, LATER_FRAMES, CloseCode
from services.gateway.asyncapi import CLOSE_CODES, FROM_CLIENT, TO_CLIENT
from tests.services.gateway.newsroom import Newsroom

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def document(room: Newsroom) -> dict[str, Any]:
    answer = await room.http.get("/asyncapi.json")
    assert answer.status_code == 200
    return answer.json()


async def test_every_example_fits_its_message(room: Newsroom) -> None:
    told = await document(room)
    for name, message in told["components"]["messages"].items():
        assert message["examples"], name
        for example in message["examples"]:
            jsonschema_rs.validate({**message["payload"], "components": told["components"]}, example["payload"])


async def test_every_reference_leads_somewhere(room: Newsroom) -> None:
    told = await document(room)
    references = set(re.findall(r"'\$ref': '#/([^']+)'", str(told)))
    assert references
    for reference in references:
        place: Any = told
        for step in reference.split("/"):
            place = place[step]
        assert place


async def test_every_message_is_sent_by_one_side(room: Newsroom) -> None:
    told = await document(room)
    sides = [
        {message["$ref"].rpartition("/")[2] for message in told["operations"][side]["messages"]}
        for side in ("listen", "tell")
    ]
    assert sides == [set(FROM_CLIENT), set(TO_CLIENT)]
    assert sides[0] | sides[1] == set(told["components"]["messages"])


async def test_every_frame_that_is_understood_is_told() -> None:
    assert {**FIRST_FRAMES, **LATER_FRAMES}.items() <= FROM_CLIENT.items()


async def test_every_close_code_is_told() -> None:
    assert set(CLOSE_CODES) == {code for name, code in vars(CloseCode).items() if name.isupper()}
