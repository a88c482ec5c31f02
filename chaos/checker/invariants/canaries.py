"""13: a canary key turns up nowhere, and a canary prompt only where its own workflow is told."""

import json
from collections.abc import Iterator

from chaos.checker import telling
from chaos.checker.finding import Finding, Violation, finding
from chaos.checker.record import Record
from contracts.subjects import WorkflowKey

RULE = "neither key nor prompt stands where it does not belong"

AROUND = 60
"""Characters on each side of what was found."""


def check(record: Record) -> Finding:
    """Log lines, bodies, headers, and what clients were told."""
    violations = [*_texts(record), *_headers(record), *_bodies(record), *_frames(record)]
    frames = sum(one.op == "frame" for one in record.clients)
    return finding(13, RULE, violations, texts=len(record.texts), headers=len(record.log), frames=frames)


def _texts(record: Record) -> Iterator[Violation]:
    for text in record.texts:
        for name, word in _words(record):
            if word in text.text:
                yield Violation(f"the {name} stands in {text.name}", [_around(text.text, word, record)])


def _headers(record: Record) -> Iterator[Violation]:
    for entry in record.log:
        told = "\n".join([entry.subject, *(f"{header}: {value}" for header, value in entry.headers.items())])
        for name, word in _words(record):
            if word in told:
                yield Violation(
                    f"the {name} stands in an event's headers", [telling.entry(entry), _around(told, word, record)]
                )


def _bodies(record: Record) -> Iterator[Violation]:
    own = _own(record)
    for key, story in record.stories.items():
        for entry in story.entries:
            text = entry.body.decode(errors="replace")
            if record.canaries.key in text:
                yield Violation("the key stands in an event", [telling.entry(entry)])
            if record.canaries.prompt in text and key not in own:
                yield Violation("the prompt stands in an event of another workflow", [telling.entry(entry)])


def _frames(record: Record) -> Iterator[Violation]:
    own = {key.workflow_id for key in _own(record)}
    for one in record.clients:
        if one.op not in ("frame", "closed"):
            continue
        told = json.dumps(one.model_dump(mode="json"), ensure_ascii=False)
        if record.canaries.key in told:
            yield Violation("a client was told the key", telling.in_order(telling.clients(record, [one])))
        if record.canaries.prompt in told and one.workflow_id not in own:
            yield Violation("a client was told the prompt of another", telling.in_order(telling.clients(record, [one])))


def _words(record: Record) -> tuple[tuple[str, str], ...]:
    return ("key", record.canaries.key), ("prompt", record.canaries.prompt)


def _own(record: Record) -> set[WorkflowKey]:
    """The workflows that were asked for with the canary prompt."""
    return {
        key
        for key, story in record.stories.items()
        if story.request and record.canaries.prompt in story.request.model_dump_json()
    }


def _around(text: str, word: str, record: Record) -> str:
    """Where it was found; the key itself is not repeated."""
    at = text.index(word)
    told = f"{text[max(0, at - AROUND) : at]}«canary»{text[at + len(word) : at + len(word) + AROUND]}"
    return " ".join(told.replace(record.canaries.key, "«canary»").split())
