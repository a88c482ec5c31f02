"""The operator's list of what is parked: all of it, of one state of the read tables."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest

from chaos import redriving
from chaos.ground import Ground
from chaos.redriving import list_parked

Page = dict[str, Any]


def page(position: int, *ids: str, more: str | None = None) -> Page:
    return {"items": [{"workflow_id": one, "kind": "failed"} for one in ids], "next": more, "position": position}


async def listed(*answers: Page | int) -> list[dict[str, Any]]:
    """What is written down where the gateway answers so, one after the other, and with the last one for ever."""
    left: list[Page | int] = [*answers]

    def answer(_: httpx2.Request) -> httpx2.Response:
        told = left.pop(0) if len(left) > 1 else left[0]
        return httpx2.Response(told) if isinstance(told, int) else httpx2.Response(200, json=told)

    written: list[dict[str, Any]] = []

    def write(_: str, **told: Any) -> None:
        written.append(told)

    transport = httpx2.MockTransport(answer)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as http:
        await list_parked(cast(Ground, SimpleNamespace(http=http, records=SimpleNamespace(write=write))), "before")
    return written


def ids_of(items: Sequence[Page]) -> list[str]:
    return [item["workflow_id"] for item in items]


async def test_every_page_is_listed() -> None:
    (told,) = await listed(page(7, "a", "b", more="there"), page(7, "c"))
    assert (told["client"], told["op"], told["phase"]) == ("operator", "parked", "ok")
    assert (told["data"]["when"], told["data"]["position"]) == ("before", 7)
    assert ids_of(told["data"]["items"]) == ["a", "b", "c"]


async def test_pages_of_two_states_are_asked_for_again() -> None:
    (told,) = await listed(page(7, "a", more="there"), page(8, "c"), page(8, "a", more="there"), page(8, "d"))
    assert (told["data"]["position"], ids_of(told["data"]["items"])) == (8, ["a", "d"])


async def test_gateway_that_does_not_serve_is_asked_again() -> None:
    (told,) = await listed(503, page(7))
    assert (told["phase"], told["data"]["items"]) == ("ok", [])


async def test_list_that_is_never_given_is_no_empty_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redriving, "LISTED_WITHIN_S", 0.1)
    (told,) = await listed(503)
    assert told["phase"] == "failed"
