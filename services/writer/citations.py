"""Citations: which sources a text cites, and how those that it was not given are kept out.

A mark is `[3]`, `[1, 2]`, `[1-3]` or `[^3]`. What stands in code is left alone.
"""

import re
from collections.abc import Callable, Collection, Iterable
from urllib.parse import quote

from chassis.prompts import one_line
from contracts.events import Source

CODE = re.compile(r"(```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`)", re.DOTALL)
IN_PAIRS = r"\([^()\s]*\)"
"""A part of an address in parentheses, as in https://en.wikipedia.org/wiki/Tea_(plant)."""

MARK = re.compile(
    r"(?<![ \t])[ \t]*+\[\^?\s*\d{1,4}(?:\s*[,;–—-]\s*\d{1,4})*\s*\]"
    rf"(?:\((?P<url>(?:[^()\s]|{IN_PAIRS})*)\)|(?P<colon>:))?"
)
LINK = re.compile(rf"!?\[(?P<text>[^\[\]]*)\]\((?P<url><[^<>]*>|(?:[^()\s]|{IN_PAIRS})*)(?:\s+\"[^\"]*\")?\)")
ADDRESS = re.compile(r"<?(?P<url>https?://(?:[^\s<>()\[\]]|\([^\s<>()\[\]]*\))+)>?", re.IGNORECASE)

PASSES_MAX = 10
"""What is taken out can leave a new mark behind, as in `[[9]8]`: the text is read again, hardly ever twice."""

RANGE_MAX = 50
"""Of `[1-50]`; a longer one is not a range of citations."""


def cited_numbers(text: str) -> tuple[int, ...]:
    """The numbers that the text cites, each once, in rising order."""
    found: set[int] = set()
    for piece in _prose(text):
        for mark in MARK.finditer(piece):
            found.update(_numbers(mark[0]))
    return tuple(sorted(found))


def keep_known(text: str, sources: Collection[Source]) -> str:
    """The text with marks of these sources only, and with links to them only; other links become their text."""
    known = {source.number for source in sources}
    addresses = {source.url for source in sources}

    def mark(found: re.Match[str]) -> str:
        lead = found[0][: len(found[0]) - len(found[0].lstrip())]
        kept = [number for number in _numbers(found[0]) if number in known]
        # At the start of a line a colon would make the mark the definition of a link.
        colon = ":" if found["colon"] and found.string[: found.start()][-1:].isalnum() else ""
        return (lead + "".join(f"[{number}]" for number in kept) if kept else "") + colon

    def link(found: re.Match[str]) -> str:
        return found[0] if found["url"].strip("<>") in addresses else found["text"]

    def address(found: re.Match[str]) -> str:
        return found[0] if found["url"].rstrip(".,;:!?\"'") in addresses else ""

    return _change_prose(text, lambda piece: ADDRESS.sub(address, LINK.sub(link, MARK.sub(mark, piece))))


def without_marks(text: str) -> str:
    """The text without citations and with links as their text: for readers who are given no sources."""
    return _change_prose(text, lambda piece: LINK.sub(lambda found: found["text"], MARK.sub("", piece)))


def source_list(sources: Iterable[Source], cited: Collection[int]) -> str:
    """A section of Markdown that names the cited sources; an empty text without any."""
    named = [f"{source.number}. [{_label(source)}]({_target(source)})" for source in sources if source.number in cited]
    return "\n".join(["## Sources", "", *named]) if named else ""


def _label(source: Source) -> str:
    return re.sub(r"[\[\]\\]", "", one_line(source.title)) or source.url


def _target(source: Source) -> str:
    """The address with the signs escaped that would end a link in Markdown."""
    return re.sub(r"[\s()<>\\]", lambda sign: quote(sign[0]), source.url)


def _numbers(mark: str) -> list[int]:
    """The numbers that a mark names, ranges written out."""
    inside = mark[mark.index("[") + 1 : mark.index("]")].strip("^ ")
    numbers: list[int] = []
    for part in re.split(r"\s*[,;]\s*", inside):
        ends = [int(end) for end in re.findall(r"\d+", part)]
        is_range = len(ends) == 2 and ends[0] < ends[1] <= ends[0] + RANGE_MAX
        numbers += range(ends[0], ends[1] + 1) if is_range else ends
    return list(dict.fromkeys(numbers))


def _prose(text: str) -> list[str]:
    return CODE.split(text)[::2]


def _change_prose(text: str, change: Callable[[str], str]) -> str:
    """The text with what is no code changed, until there is nothing more to change."""
    for _ in range(PASSES_MAX):
        pieces = CODE.split(text)
        changed = "".join(piece if index % 2 else change(piece) for index, piece in enumerate(pieces))
        if changed == text:
            return text
        text = changed
    return re.sub(r"[\[\]]", "", text)  # nobody writes so by chance; without brackets there are no marks
