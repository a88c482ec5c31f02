"""Wording: how workflows, positions, values and numbers are told to people, each within one line."""

from collections.abc import Iterator, Sequence

from contracts.subjects import WorkflowKey

VALUE_LENGTH_MAX = 60
"""Characters of a value in the line of a difference."""

REASON_LENGTH_MAX = 200


def name(key: WorkflowKey) -> str:
    """The workflow, as people name it."""
    return f"{key.owner}/{key.workflow_id}"


def short(value: object) -> str:
    """The value, or its beginning."""
    text = repr(value)
    return text if len(text) <= VALUE_LENGTH_MAX else f"{text[: VALUE_LENGTH_MAX - 1]}…"


def line(reason: str) -> str:
    """The reason as one line, and not a long one."""
    return " ".join(reason.split())[:REASON_LENGTH_MAX]


def count(number: int, what: str) -> str:
    """So many of them, in the plural where it is needed."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def stretches(positions: Sequence[int]) -> Iterator[str]:
    """Each unbroken stretch of these rising positions."""
    first = 0
    for index, position in enumerate(positions):
        if index + 1 == len(positions) or positions[index + 1] != position + 1:
            yield f"position {position}" if first == index else f"positions {positions[first]} to {position}"
            first = index + 1
