"""`/docs` and `/openapi.json`: complete, and readable on a machine without internet."""

import re
from typing import Any

import pytest

from tests.services.gateway.newsroom import Newsroom

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def openapi(room: Newsroom) -> dict[str, Any]:
    return (await room.http.get("/openapi.json")).json()


async def test_newcomers_are_led_to_the_docs(room: Newsroom) -> None:
    answer = await room.http.get("/", follow_redirects=True)
    assert answer.status_code == 200 and "swagger" in answer.text.lower()


async def test_docs_need_no_other_host(room: Newsroom) -> None:
    page = (await room.http.get("/docs")).text
    assert not re.findall(r"""(?:src|href|url)\s*[=:]\s*["']?(?:https?:)?//""", page)


async def test_everything_the_docs_load_is_here(room: Newsroom) -> None:
    page = (await room.http.get("/docs")).text
    parts = re.findall(r"""(?:src|href)=["'](/[^"']+)["']""", page)
    assert parts
    assert {part: (await room.http.get(part)).status_code for part in parts} == dict.fromkeys(parts, 200)


async def test_openapi_names_every_operation(room: Newsroom) -> None:
    paths = (await openapi(room))["paths"]
    assert set(paths) == {"/workflows", "/workflows/{workflow_id}/events", "/images/{sha256}"}
    assert "202" in paths["/workflows"]["post"]["responses"]


async def test_every_reference_in_openapi_leads_somewhere(room: Newsroom) -> None:
    told = await openapi(room)
    references = set(re.findall(r"'\$ref': '#/([^']+)'", str(told)))
    assert references
    for reference in references:
        place: Any = told
        for step in reference.split("/"):
            place = place[step]
        assert place


async def test_every_refusal_in_openapi_is_a_problem(room: Newsroom) -> None:
    for path in (await openapi(room))["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert "application/problem+json" in answer["content"], (status, operation["summary"])
