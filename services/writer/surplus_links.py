"""Links where a platform allows only so many: how many different ones a text has, and how it does with fewer."""

from services.writer.leaving_out import without
from services.writer.links import Span, links

PASSES_MAX = 5
"""What is left out can bring two halves together that are a link in turn: the text is read again, hardly ever twice."""


def different_links(text: str) -> int:
    """How many links the text has; the same one again does not count."""
    return len({text[start:end] for start, end in links(text)})


def without_surplus_links(text: str, links_max: int) -> str:
    """The first ones stay, and whenever they are repeated; the others go."""
    for _ in range(PASSES_MAX):
        surplus = _surplus(text, links_max)
        if not surplus:
            return text
        text = without(text, surplus)
    surplus = _surplus(text, links_max)
    return text[: surplus[0][0]].rstrip() if surplus else text


def _surplus(text: str, links_max: int) -> list[Span]:
    first: set[str] = set()
    surplus: list[Span] = []
    for start, end in links(text):
        if len(first) < links_max:
            first.add(text[start:end])
        elif text[start:end] not in first:
            surplus.append((start, end))
    return surplus
