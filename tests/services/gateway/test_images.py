"""`GET /images/{id}`: a picture's bytes by their hash, which a browser may keep for good, or what is known of an image.

The rooms of most tests have no Postgres: the pictures themselves do not need it.
"""

import hashlib

import httpx2
import pytest

from chassis.object_store import picture_key, picture_pointer
from services.gateway.desk import OWNER
from tests.services.gateway.newsroom import Newsroom, new_key
from tests.services.gateway.read_tables import ReadTables

pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURE = b"\x89PNG\r\n\x1a\n sample"
SHA256 = hashlib.sha256(PICTURE).hexdigest()


async def stored(room: Newsroom, content_type: str = "image/png") -> httpx2.Response:
    """Stores a picture as the illustrator does. -> what the gateway answers for it"""
    key = picture_key(new_key(), SHA256, "png")
    await room.parts.gallery.put(key, PICTURE, content_type)
    await room.parts.gallery.put(picture_pointer(OWNER, SHA256), key.encode(), "text/plain")
    return await room.http.get(f"/images/{SHA256}")


async def test_picture_is_given_as_it_was_stored(room: Newsroom) -> None:
    answer = await stored(room)
    assert (answer.status_code, answer.content) == (200, PICTURE)


@pytest.mark.parametrize("content_type", ["image/png", "image/jpeg", "image/webp"])
async def test_content_type_is_the_stored_one(room: Newsroom, content_type: str) -> None:
    assert (await stored(room, content_type)).headers["content-type"] == content_type


async def test_other_bytes_than_the_hash_says_are_a_problem(room: Newsroom) -> None:
    asked = hashlib.sha256(b"lost").hexdigest()
    key = picture_key(new_key(), asked, "png")
    await room.parts.gallery.put(key, PICTURE, "image/png")
    await room.parts.gallery.put(picture_pointer(OWNER, asked), key.encode(), "text/plain")
    answer = await room.http.get(f"/images/{asked}")
    assert (answer.status_code, answer.json()["code"]) == (503, "object-store-unavailable")
    assert "immutable" not in answer.headers.get("cache-control", "")


async def test_browser_may_keep_it_for_good(room: Newsroom) -> None:
    answer = await stored(room)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["etag"] == f'"{SHA256}"'


async def test_unknown_picture_is_404(room: Newsroom) -> None:
    answer = await room.http.get(f"/images/{'0' * 64}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-image")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "image_id", ["x", "0" * 63, "0" * 65, "A" * 64, "%0A", "0" * 64 + "%0A", "..%2Fsecrets", "%00", "%FF", "x" * 201]
)
async def test_what_is_neither_is_a_problem(reading_room: Newsroom, tables: ReadTables, image_id: str) -> None:
    answer = await reading_room.http.get(f"/images/{image_id}")
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_image_is_described_by_its_id(reading_room: Newsroom, tables: ReadTables) -> None:
    image = await tables.add_image(workflow_id=(await tables.add_workflow(topic="bees"))["workflow_id"])
    answer = await reading_room.http.get(f"/images/{image['id']}")
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert (told["alt_text"], told["width"], told["topic"]) == ("Bees", 16, "bees")
    assert told["picture"] == f"/images/{image['sha256']}"


async def test_unknown_image_is_404(reading_room: Newsroom, tables: ReadTables) -> None:
    answer = await reading_room.http.get("/images/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-image")
