"""Prompts: read from files, filled in, and the input that goes with them.

What people or web pages wrote is data for the model, never part of its instructions: it goes into the input, with the
sources in a block whose markup they cannot close.
"""

import html
import re
from collections.abc import Iterable
from pathlib import Path
from string import Template

from contracts.events import Source, WorkflowRequested

WORDS = {"short": 400, "medium": 800, "long": 1_600}
"""What the names of lengths mean: two minutes of reading, four, and eight."""


def load_prompt(beside: str, name: str) -> Template:
    """The prompt of this name in the folder `prompts` beside the given file."""
    return Template((Path(beside).parent / "prompts" / f"{name}.md").read_text().strip())


def brief_lines(asked: WorkflowRequested) -> str:
    """What the client asked for, a line each; the topic first. A length is asked of the blog post alone."""
    brief = asked.brief
    return _lines({"Topic": asked.topic, "Tone": brief.tone, "Audience": brief.audience, "Language": brief.language})


def blog_brief_lines(asked: WorkflowRequested) -> str:
    """What the client asked for of the blog post: its length as well."""
    length = asked.brief.length
    return f"{brief_lines(asked)}\n{_lines({'Length': length and length_in_words(length)})}".rstrip()


def length_in_words(length: str) -> str:
    """What a length means to a writer. One that is neither named nor a number stands as the client said it."""
    number = re.fullmatch(r"([0-9]{1,6})(?: words)?", length)
    words = int(number[1]) if number else WORDS.get(length)
    return f"about {words:,} words" if words else length


def _lines(told: dict[str, str | None]) -> str:
    return "\n".join(f"{name}: {one_line(value)}" for name, value in told.items() if value)


def source_block(sources: Iterable[Source]) -> str:
    """The sources as data for a writer; an empty text without any."""
    told = [_source_element(source) for source in sources]
    return "\n".join(["<sources>", *told, "</sources>"]) if told else ""


def as_data(name: str, text: str) -> str:
    """A text in a block of this name that it cannot close."""
    return f"<{name}>\n{html.escape(text, quote=False)}\n</{name}>"


def _source_element(source: Source) -> str:
    url, title = html.escape(source.url), html.escape(one_line(source.title))
    text = html.escape(source.quote or "", quote=False)
    return f'<source number="{source.number}" url="{url}" title="{title}">{text}</source>'


def one_line(text: str) -> str:
    """The text with every run of white space made one space."""
    return " ".join(text.split())
