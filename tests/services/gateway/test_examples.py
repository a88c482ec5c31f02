"""Every example in `/openapi.json` runs: as it stands there, on a gateway that knows the ids of the examples."""

from typing import Any, NamedTuple

import pytest

from contracts.events import Failure, WorkflowFailed
from contracts.subjects import WorkflowKey
from contracts.works import Work
from services.gateway.desk import OWNER
from tests.services.gateway.newsroom import Newsroom, asked
from tests.services.gateway.read_tables import ReadTables
from tests.services.gateway.refolder import refolding

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAILED = WorkflowFailed(
    run=1, work=Work.BLOG, attempt=1, error=Failure(code="quota-used-up", message="Top it up.", retryable=True)
)
WORKFLOW_ID, EVENT_ID = "01a20262-4036-74ac-b832-5ff8bc7b6bef", "01a20262-7c11-7d52-9a7e-0f3c86e2b1d4"
FAR = 1_000


class Request(NamedTuple):
    """One example, as a request."""

    method: str
    path: str
    query: dict[str, Any]
    headers: dict[str, str]
    body: Any


def requests(document: dict[str, Any]) -> list[Request]:
    """Each operation with nothing but what it needs, and with each of its examples by itself."""
    return [
        request
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for request in _of_operation(document, method, path, operation)
    ]


def _of_operation(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> list[Request]:
    parameters = operation.get("parameters", [])
    for one in parameters:
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", one["schema"]["examples"][0])
    found = [Request(method, path, {}, {}, body) for body in _bodies(document, operation)]
    plain = found[0]
    for one in parameters:
        for example in one["schema"].get("examples", []):
            if one["in"] == "query":
                found.append(plain._replace(query={one["name"]: example}))
            if one["in"] == "header":
                found.append(plain._replace(headers={one["name"]: example}))
    return found


def _bodies(document: dict[str, Any], operation: dict[str, Any]) -> list[Any]:
    told = operation.get("requestBody")
    if told is None:
        return [None]
    schema = told["content"]["application/json"]["schema"]
    references = [one for one in [schema, *schema.get("anyOf", [])] if "$ref" in one]
    (name,) = [one["$ref"].rpartition("/")[2] for one in references]
    return document["components"]["schemas"][name]["examples"]


async def test_every_example_runs(reading_room: Newsroom, tables: ReadTables) -> None:
    room, key = reading_room, WorkflowKey(OWNER, WORKFLOW_ID)
    await tables.add_workflow(workflow_id=WORKFLOW_ID)
    for add in (tables.add_blog_post, tables.add_social_media_post, tables.add_image):
        await add(workflow_id=WORKFLOW_ID, id=EVENT_ID)
    await tables.reach(FAR)
    document = (await room.http.get("/openapi.json")).json()
    found = requests(document)
    await room.record(key, asked(), *[FAILED] * 7)  # so that it has the revision that examples speak of
    async with refolding(room):
        for request in sorted(
            found, key=lambda one: one.path.endswith("/cancel")
        ):  # what is called off cannot be resumed
            answer = await room.http.request(
                request.method, request.path, params=request.query, headers=request.headers, json=request.body
            )
            assert answer.status_code < 300, (request, answer.text)
    assert len(found) > 40
