"""What a request asks for: the kind of work, its topic, and the sources it may cite."""

import html
import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

Kind = Literal["research", "blog", "social", "scene", "image", "other"]

TOPIC_LENGTH_MAX = 2_000  # what Pressroom accepts; longer ones would only fill the list of calls


class TextRequest(BaseModel):
    """The fields of OpenAI's `POST /v1/responses` that matter here; the rest is accepted and left alone."""

    model: str
    input: str
    instructions: str | None = None
    tools: list[dict[str, Any]] | None = None
    include: list[str] | None = None
    stream: bool | None = None


class ImageRequest(BaseModel):
    """The fields of OpenAI's `POST /v1/images/generations` that matter here."""

    model: str
    prompt: str
    size: str | None = None
    quality: str | None = None


@dataclass(frozen=True)
class CitableSource:
    number: int
    title: str


@dataclass(frozen=True)
class Job:
    kind: Kind
    topic: str = ""
    platform: str | None = None
    tone: str | None = None
    audience: str | None = None
    language: str | None = None
    length: str | None = None
    sources: tuple[CitableSource, ...] = ()

    @property
    def words(self) -> int | None:
        """The number of words that a length asks for, as in `about 1,600 words`; None where it names no number."""
        number = re.search(r"[0-9][0-9,]*", self.length or "")
        return int(number[0].replace(",", "")) if number else None


def job_of(request: TextRequest | ImageRequest) -> Job:
    if isinstance(request, ImageRequest):
        return Job("image", topic=line_of("Topic", request.prompt) or "")
    kind, platform = kind_of(request)
    brief = request.input.partition("\n<")[0]  # the lines before any block of data
    sources = request.input.partition("<sources>")[2]
    return Job(
        kind,
        topic=line_of("Topic", brief) or "",
        platform=platform,
        tone=line_of("Tone", brief),
        audience=line_of("Audience", brief),
        language=line_of("Language", brief),
        length=line_of("Length", brief),
        sources=tuple(sources_in(sources)),
    )


def kind_of(request: TextRequest) -> tuple[Kind, str | None]:
    """Our own prompts name the work in these words; they are a contract with the files of prompts."""
    instructions = request.instructions or ""
    if "Write a blog post" in instructions:
        return "blog", None
    if post := re.search(r"Write one post for ([^.\n]+)", instructions):
        return "social", post[1].strip()
    if "Describe one picture" in instructions:
        return "scene", None
    if "Find sources" in instructions or any(tool.get("type") == "web_search" for tool in request.tools or ()):
        return "research", None
    return "other", None


def line_of(name: str, text: str) -> str | None:
    """The rest of the first line that starts with `<name>:`."""
    line = re.search(rf"^{name}:[ \t]*(.*)$", text, re.MULTILINE)
    return line[1].strip()[:TOPIC_LENGTH_MAX] or None if line else None


def sources_in(text: str) -> list[CitableSource]:
    tags: list[str] = re.findall(r"<source\s[^>]*>", text)
    attributes = [dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in tags]
    return [
        CitableSource(int(found["number"]), html.unescape(found.get("title", "")))
        for found in attributes
        if re.fullmatch(r"[0-9]{1,4}", found.get("number", ""))
    ]
