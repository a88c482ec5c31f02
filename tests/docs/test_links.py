"""The documents' links: each leads to a page that is there, and to a heading on it."""

import re
from pathlib import Path

import pytest

from worked.example import DOCS

LINK = re.compile(r"\[[^\]]*\]\((?!https?://)([^)#\s]*)#?([^)\s]*)\)")
PAGES = sorted(DOCS.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = [
        f"{file}#{heading}"
        for file, heading in LINK.findall(page.read_text())
        if not leads_somewhere(page.parent / file if file else page, heading)
    ]
    assert not dead


def leads_somewhere(page: Path, heading: str) -> bool:
    return page.is_file() and (not heading or heading in anchors(page.read_text()))


def anchors(text: str) -> set[str]:
    """The page's headings, as links name them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
