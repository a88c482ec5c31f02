"""Where links are seen: the public conformance cases, and what a cut must leave whole beyond them."""

import json
from pathlib import Path

import pytest

from services.writer.links import addresses, links

SUITE = json.loads((Path(__file__).parent / "conformance" / "links.json").read_text(encoding="utf-8"))
CASES = [pytest.param(case["text"], case["expected"], id=case["description"]) for case in SUITE["urls"]]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_conformance_case_has_the_published_links(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in links(text)] == expected


@pytest.mark.parametrize("address", ["http://localhost:8000/a?b=c#d", "nats://broker:4222", "https://example.com#part"])
def test_address_that_x_does_not_link_stays_whole(address: str) -> None:
    assert addresses(f"See {address} now") == [(4, 4 + len(address))]


def test_addresses_never_overlap() -> None:
    assert addresses("http://example.com/a~~( and") == [(0, len("http://example.com/a~~("))]
