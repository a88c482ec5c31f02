"""Prompts: read from files, filled in, and the input that goes with them.

What people or web pages wrote is data for the model, never part of its instructions: it goes into the input, with the
sources in a block whose markup they cannot close.
"""

import html
from collections.abc import Iterable
from pathlib import Path
from string import Template

from contracts.events import Source, WorkflowRequested


def load_prompt(beside: str, name: str) -> Template:
    """The prompt of this name in the folder `prompts` beside the given file."""
    return Template((Path(beside).parent / "prompts" / f"{name}.md").read_text().strip())


def brief_lines(asked: WorkflowRequested) -> str:
    """What the client asked for, a line each; the topic first."""
    brief = asked.brief
    told = {
        "Topic": asked.topic,
        "Tone": brief.tone,
        "Audience": brief.audience,
        "Language": brief.language,
        "Length": brief.length,
    }
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
