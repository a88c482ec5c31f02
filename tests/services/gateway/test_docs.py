"""`/docs` and `/openapi.json`: complete, and readable on a machine without internet."""

import re
from typing import Any

import jsonschema_rs
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


STATUSES = {
    ("get", "/workflows"): "200 422 503",
    ("post", "/workflows"): "202 400 409 413 422 502 503 507",
    ("get", "/workflows/{workflow_id}"): "200 404 422 503",
    ("get", "/workflows/{workflow_id}/events"): "200 204 404 409 422 429 502 503",
    ("post", "/workflows/{workflow_id}/cancel"): "202 400 404 409 413 422 502 503 507",
    ("post", "/workflows/{workflow_id}/resume"): "202 400 404 409 413 422 502 503 507",
    ("post", "/workflows/{workflow_id}/refold"): "200 404 422 503",
    ("get", "/workflows/{workflow_id}/sources"): "200 404 422 503",
    ("get", "/blog-posts"): "200 422 503",
    ("get", "/blog-posts/{blog_post_id}"): "200 404 422 503",
    ("get", "/social-media-posts"): "200 422 503",
    ("get", "/social-media-posts/{social_media_post_id}"): "200 404 422 503",
    ("get", "/images"): "200 422 503",
    ("get", "/images/{image_id}"): "200 404 422 503",
    ("get", "/quarantine"): "200 422 503",
    ("get", "/parked"): "200 422 503",
    ("get", "/status"): "200 422",
}
"""What each operation may answer with. A 404, 405 or 500 that any path may answer with is told at the top."""


async def operations(room: Newsroom) -> dict[tuple[str, str], dict[str, Any]]:
    paths = (await openapi(room))["paths"]
    return {(method, path): operation for path, methods in paths.items() for method, operation in methods.items()}


async def test_openapi_names_every_operation_and_status(room: Newsroom) -> None:
    told = {name: " ".join(sorted(one["responses"])) for name, one in (await operations(room)).items()}
    assert told == STATUSES


async def test_operations_have_names_for_programs(room: Newsroom) -> None:
    names = [one["operationId"] for one in (await operations(room)).values()]
    assert len(set(names)) == len(names) and all(name.isidentifier() for name in names)


async def test_operations_have_words_and_known_tags(room: Newsroom) -> None:
    tags = {tag["name"] for tag in (await openapi(room))["tags"]}
    for name, one in (await operations(room)).items():
        assert one["summary"] and one["description"] and set(one["tags"]) < tags, name


async def test_every_parameter_is_described(room: Newsroom) -> None:
    for name, one in (await operations(room)).items():
        for parameter in one.get("parameters", []):
            assert parameter["description"], (name, parameter["name"])


async def test_every_answer_is_described(room: Newsroom) -> None:
    for name, one in (await operations(room)).items():
        for status, answer in one["responses"].items():
            assert answer["description"] not in ("", "Successful Response"), (name, status)


async def test_location_of_a_workflow_that_was_changed_is_told(room: Newsroom) -> None:
    for (method, _), one in (await operations(room)).items():
        is_taken_in = method == "post" and "202" in one["responses"]
        assert not is_taken_in or "Location" in one["responses"]["202"]["headers"]


async def test_both_forms_of_events_are_told(room: Newsroom) -> None:
    answer = (await operations(room))["get", "/workflows/{workflow_id}/events"]["responses"]["200"]
    assert set(answer["content"]) == {"application/json", "text/event-stream"}


async def test_both_forms_of_an_image_are_told(room: Newsroom) -> None:
    answer = (await operations(room))["get", "/images/{image_id}"]["responses"]["200"]
    assert set(answer["content"]) == {"application/json", "image/png", "image/jpeg", "image/webp"}


async def test_every_example_of_a_model_fits_it(room: Newsroom) -> None:
    document = await openapi(room)
    shown = 0
    for name, model in document["components"]["schemas"].items():
        validator = jsonschema_rs.Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        )
        for example in model.get("examples", []):
            validator.validate(example)
            shown += 1
    assert shown >= 15


async def test_every_answer_has_an_example(room: Newsroom) -> None:
    models = (await openapi(room))["components"]["schemas"]
    for name, one in (await operations(room)).items():
        for status, answer in one["responses"].items():
            told = answer.get("content", {}).get("application/json")
            if told:
                assert models[told["schema"]["$ref"].rpartition("/")[2]]["examples"], (name, status)


async def test_every_example_of_a_parameter_fits_it(room: Newsroom) -> None:
    components = (await openapi(room))["components"]
    for name, one in (await operations(room)).items():
        for parameter in one.get("parameters", []):
            schema = parameter["schema"]
            assert schema.get("examples") or "const" in schema, (name, parameter["name"])
            for example in schema.get("examples", []):
                jsonschema_rs.validate({**schema, "components": components}, example)


async def test_every_reference_in_openapi_leads_somewhere(room: Newsroom) -> None:
    told = await openapi(room)
    references = set(re.findall(r"'\$ref': '#/([^']+)'", str(told)))
    assert references
    for reference in references:
        place: Any = told
        for step in reference.split("/"):
            place = place[step]
        assert place


async def test_every_refusal_in_openapi_is_a_problem_and_nothing_else(room: Newsroom) -> None:
    for name, one in (await operations(room)).items():
        for status, answer in one["responses"].items():
            if status >= "400":
                assert set(answer["content"]) == {"application/problem+json"}, (name, status)
                assert answer["content"]["application/problem+json"]["examples"], (name, status)


async def test_every_503_says_when_to_try_again(room: Newsroom) -> None:
    for name, one in (await operations(room)).items():
        assert "503" not in one["responses"] or "Retry-After" in one["responses"]["503"]["headers"], name
