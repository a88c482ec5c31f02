"""The stand-in's small web: for every topic a few pages that can be found, cited and opened."""

import html
import random
import re
from dataclasses import dataclass
from urllib.parse import quote

from .texts import PHRASES, capital, clip, title_case

HTML = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 1.1rem/1.6 Georgia, serif; max-width: 38rem; margin: 4rem auto; padding: 0 1rem; color: #223 }}
aside {{ background: #fff4d6; border-left: .3rem solid #e0a83c; padding: .6rem 1rem; font-family: sans-serif }}</style>
</head>
<body>
<aside>This is a sample page made by Pressroom's stand-in model. It is no real source.</aside>
<h1>{title}</h1>
{body}
</body>
</html>
"""


@dataclass(frozen=True)
class Page:
    slug: str
    title: str
    paragraphs: tuple[str, ...]

    def address(self, base_url: str) -> str:
        return f"{base_url.rstrip('/')}/sources/{quote(self.slug)}"

    def as_html(self) -> str:
        body = "\n".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in self.paragraphs)
        return HTML.format(title=html.escape(self.title), body=body)


def search(topic: str) -> list[Page]:
    """Three to five pages; which ones depends on the topic."""
    chance = random.Random(topic)  # noqa: S311 (a choice of pages, not a secret)
    kinds = chance.sample(PHRASES["pages"], chance.randint(3, 5))
    # What remains of the topic in an address: everything but white space, signs and control characters of ASCII.
    subject = re.sub(r"[\x00-/:-@\[-`{-\x7f\s]+", "-", clip(topic, 60)).strip("-") or "this-topic"
    return [page for kind in kinds if (page := find_page(f"{kind['name']}-about-{subject}"))]


def find_page(slug: str) -> Page | None:
    """Pages are not stored: the address says it all, so that a link still works after a restart."""
    name, _, subject = slug.partition("-about-")
    it = subject.replace("-", " ")
    for kind in PHRASES["pages"]:
        if it and kind["name"] == name:
            paragraphs = tuple(capital(paragraph.format(it=it)) for paragraph in kind["paragraphs"])
            return Page(slug, title_case(kind["title"].format(it=it)), paragraphs)
    return None
