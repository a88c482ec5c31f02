"""Pages: every entry once, newest first, whatever is added meanwhile; and only real cursors are taken."""

import base64
from typing import Any

import pytest

from services.gateway.pages import BEGINNING, cursor_at, position_of
from tests.services.gateway.newsroom import Newsroom
from tests.services.gateway.read_tables import ReadTables

pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTS = [
    "workflows",
    "workflows?q=bees",
    "blog-posts",
    "social-media-posts",
    "images",
    "quarantine",
    "parked",
    "parked?kind=failed",
]


async def add(tables: ReadTables, name: str) -> None:
    """One more entry of that list."""
    match name.partition("?")[0]:
        case "workflows":
            await tables.add_workflow()
        case "blog-posts":
            await tables.add_blog_post()
        case "social-media-posts":
            await tables.add_social_media_post()
        case "images":
            await tables.add_image()
        case "parked" if name.endswith("failed") or tables.position % 2:
            await tables.add_failed()
        case _:
            await tables.hold(f"w{tables.position}")


async def page(room: Newsroom, name: str, **parameters: Any) -> dict[str, Any]:
    path, _, query = name.partition("?")
    given = dict([query.split("=")]) if query else {}
    answer = await room.http.get(f"/{path}", params=given | {key: value for key, value in parameters.items() if value})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("name", LISTS)
class TestEveryList:
    @pytest.mark.parametrize("limit", [1, 3, 7, 8])
    async def test_pages_have_no_gap_and_no_repeat_while_rows_are_added(
        self, reading_room: Newsroom, tables: ReadTables, name: str, limit: int
    ) -> None:
        for _ in range(7):
            await add(tables, name)
        positions, cursor = list[int](), None
        while True:
            one = await page(reading_room, name, limit=limit, cursor=cursor)
            positions += [item["position"] for item in one["items"]]
            cursor = one["next"]
            if cursor is None:
                break
            await add(tables, name)
        assert positions == [7, 6, 5, 4, 3, 2, 1]

    async def test_last_page_that_is_full_has_no_next(
        self, reading_room: Newsroom, tables: ReadTables, name: str
    ) -> None:
        for _ in range(3):
            await add(tables, name)
        assert (await page(reading_room, name, limit=3))["next"] is None
        assert (await page(reading_room, name, limit=2))["next"] is not None

    async def test_page_says_how_far_the_tables_are(
        self, reading_room: Newsroom, tables: ReadTables, name: str
    ) -> None:
        await add(tables, name)
        await tables.reach(57)
        assert (await page(reading_room, name))["position"] == 57

    async def test_page_has_twenty_entries_when_nothing_is_said(
        self, reading_room: Newsroom, tables: ReadTables, name: str
    ) -> None:
        for _ in range(21):
            await add(tables, name)
        assert len((await page(reading_room, name))["items"]) == 20

    @pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "", "1.5", "99999999999999999999"])
    async def test_limit_out_of_bounds_is_refused(
        self, reading_room: Newsroom, tables: ReadTables, name: str, limit: str
    ) -> None:
        answer = await reading_room.http.get(f"/{name.partition('?')[0]}?limit={limit}")
        assert answer.status_code == 422 and answer.json()["detail"].startswith("limit: ")

    async def test_unknown_parameter_is_refused_by_its_name(
        self, reading_room: Newsroom, tables: ReadTables, name: str
    ) -> None:
        answer = await reading_room.http.get(f"/{name.partition('?')[0]}?statuss=open")
        assert (answer.status_code, answer.json()["code"]) == (422, "bad-request")
        assert answer.json()["detail"] == "statuss: there is no such parameter here"

    async def test_parameter_given_twice_is_refused(
        self, reading_room: Newsroom, tables: ReadTables, name: str
    ) -> None:
        answer = await reading_room.http.get(f"/{name.partition('?')[0]}?limit=1&limit=2")
        assert (answer.status_code, answer.json()["detail"]) == (422, "limit: this parameter is given 2 times")


def packed(version: int, position: int) -> str:
    """A cursor as nobody gave it out."""
    return base64.urlsafe_b64encode(bytes([version]) + position.to_bytes(8, "big")).decode()


BAD_CURSORS = {
    "empty": "",
    "words": "page-2",
    "a number": "57",
    "no base64": "A" + "!" * 11,
    "cut short": cursor_at(57)[:-1],
    "too long": cursor_at(57) + "A",
    "far too long": "A" * 201,
    "immense": "A" * 20_000,
    "padded": cursor_at(57)[:-1] + "=",
    "another version": packed(2, 57),
    "no version": packed(0, 57),
    "beyond every position": packed(1, 2**63),
    "largest number": packed(1, 2**64 - 1),
    "zero byte": "%00",
    "not utf-8": "%FF%FE",
    "not ascii": "Ą" * 12,
    "SQL": "1' OR '1'='1",
    "standard alphabet": base64.b64encode(b"\x01\x00\x00\x00\x00\x00\x00\xff\xff").decode(),
}


class TestCursors:
    @pytest.mark.parametrize("cursor", BAD_CURSORS.values(), ids=BAD_CURSORS)
    async def test_what_is_no_cursor_is_refused_in_words(
        self, reading_room: Newsroom, tables: ReadTables, cursor: str
    ) -> None:
        answer = await reading_room.http.get(f"/workflows?cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (422, "bad-request")
        assert answer.json()["detail"].startswith("cursor: ")

    @pytest.mark.parametrize("position", [0, 1, 2**53, 2**63 - 1])
    async def test_cursor_leads_back_to_its_position(self, position: int) -> None:
        assert position_of(cursor_at(position)) == position

    async def test_no_cursor_is_the_beginning(self) -> None:
        assert position_of(None) == BEGINNING

    async def test_cursor_of_a_list_that_has_ended_is_an_empty_page(
        self, reading_room: Newsroom, tables: ReadTables
    ) -> None:
        await tables.add_workflow()
        assert (await page(reading_room, "workflows", cursor=cursor_at(1)))["items"] == []
