"""OpenAI's Responses protocol: an answer as one object, and the same object told as a stream of events."""

import time
import uuid
from collections.abc import Iterator
from itertools import count
from typing import Any

from .answers import Answer
from .jobs import TextRequest

Json = dict[str, Any]

PIECE = 12  # characters in one delta: about three tokens
PIECES_MAX = 400  # a very long text comes in longer pieces instead
SEARCH_TOKENS = 1_800  # what a page that was found adds to the input, roughly


def response_to(request: TextRequest, answer: Answer) -> Json:
    """The finished object, with the fields that OpenAI sends."""
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "incomplete" if answer.filtered else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "content_filter"} if answer.filtered else None,
        "instructions": request.instructions,
        "max_output_tokens": None,
        "metadata": {},
        "model": request.model,
        "output": [*searched(request, answer), *said(answer)],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": "medium", "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": request.tools or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage_of(request, answer),
        "user": None,
    }


def searched(request: TextRequest, answer: Answer) -> Iterator[Json]:
    if answer.query is not None:
        action: Json = {"type": "search", "query": answer.query, "queries": [answer.query]}
        if "web_search_call.action.sources" in (request.include or ()):  # OpenAI sends them only when asked
            action["sources"] = [{"type": "url", "url": url} for url in answer.found]
        yield {"id": new_id("ws"), "type": "web_search_call", "status": "completed", "action": action}


def said(answer: Answer) -> Iterator[Json]:
    part: Json | None = None
    if answer.refusal is not None:
        part = {"type": "refusal", "refusal": answer.refusal}
    elif answer.text:
        part = {"type": "output_text", "text": answer.text, "annotations": citations_of(answer), "logprobs": []}
    if part:
        status = "incomplete" if answer.filtered else "completed"
        yield {"id": new_id("msg"), "type": "message", "status": status, "role": "assistant", "content": [part]}


def citations_of(answer: Answer) -> list[Json]:
    return [
        {"type": "url_citation", "start_index": at.start, "end_index": at.end, "url": at.url, "title": at.title}
        for at in answer.citations
    ]


def usage_of(request: TextRequest, answer: Answer) -> Json:
    """Plausible numbers: four characters a token, and a discount for what a cache would hold of a long prompt."""
    asked = tokens(request.instructions or "") + tokens(request.input) + SEARCH_TOKENS * len(answer.found)
    reasoned = 64 * (1 + len(answer.text) // 2_000)
    wrote = tokens(answer.text + (answer.refusal or "")) + reasoned
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": asked // 1_024 * 512, "cache_write_tokens": 0},
        "output_tokens": wrote,
        "output_tokens_details": {"reasoning_tokens": reasoned},
        "total_tokens": asked + wrote,
    }


def tokens(text: str) -> int:
    return -(-len(text) // 4)


def new_id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex}"


def events_of(response: Json) -> Iterator[Json]:
    """The stream that leads to this response: same ids, same text, numbered from 0."""
    numbers = count()
    begun: Json = response | {"status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    events: list[tuple[str, Json]] = [("created", {"response": begun}), ("in_progress", {"response": begun})]
    for index, item in enumerate(response["output"]):
        events += [(name, {"output_index": index, **fields}) for name, fields in item_events(item)]
    events.append((response["status"], {"response": response}))
    for name, fields in events:
        yield {"type": f"response.{name}", "sequence_number": next(numbers), **fields}


def item_events(item: Json) -> Iterator[tuple[str, Json]]:
    at = {"item_id": item["id"]}
    if item["type"] == "web_search_call":
        yield (
            "output_item.added",
            {"item": {**item, "status": "in_progress", "action": {"type": "search", "query": ""}}},
        )
        for step in ("in_progress", "searching", "completed"):
            yield f"web_search_call.{step}", at
    else:
        yield "output_item.added", {"item": item | {"status": "in_progress", "content": []}}
        for index, part in enumerate(item["content"]):
            tell = text_events if part["type"] == "output_text" else refusal_events
            for name, fields in tell(part):
                yield name, {**at, "content_index": index, **fields}
    yield "output_item.done", {"item": item}


def text_events(part: Json) -> Iterator[tuple[str, Json]]:
    text: str = part["text"]
    annotations: list[Json] = part["annotations"]
    waiting = list(enumerate(annotations))
    size = max(PIECE, -(-len(text) // PIECES_MAX))
    yield "content_part.added", {"part": part | {"text": "", "annotations": []}}
    for start in range(0, len(text), size):
        yield "output_text.delta", {"delta": text[start : start + size], "logprobs": []}
        while waiting and waiting[0][1]["end_index"] <= start + size:
            index, annotation = waiting.pop(0)
            yield "output_text.annotation.added", {"annotation_index": index, "annotation": annotation}
    yield "output_text.done", {"text": text, "logprobs": []}
    yield "content_part.done", {"part": part}


def refusal_events(part: Json) -> Iterator[tuple[str, Json]]:
    yield "content_part.added", {"part": part | {"refusal": ""}}
    yield "refusal.delta", {"delta": part["refusal"]}
    yield "refusal.done", {"refusal": part["refusal"]}
    yield "content_part.done", {"part": part}
