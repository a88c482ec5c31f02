"""What a server tells of a workflow, as the wire has it, for the tests of the command."""

import json
from typing import Any

ID = "01a20262-4036-74ac-b832-5ff8bc7b6bef"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
MARKDOWN = "# How Tea Travelled\n\nTea came to Europe by two roads [1], and kept both names.\n\n- by land: *chai*\n"
POST = "Tea came to Europe by two roads. #tea"
BUSY = "The model is busy"

Json = dict[str, Any]


class History:
    """The events of one workflow, each as the keys of its `event` frame."""

    def __init__(self, *, starts_at: int = 37) -> None:
        self.events: list[Json] = []
        self._position = starts_at

    def add(self, event: str, payload: str, *, work: str | None = None, **keys: Any) -> "History":
        """One more event, a second after the one before it."""
        revision = len(self.events) + 1
        data = {"work": work, **keys} if work else keys
        told: Json = {
            "type": "event",
            "payload": payload,
            "workflow_id": ID,
            "revision": revision,
            "event": event,
            "work": work,
            "attempt": keys.get("attempt"),
            "data": data,
            "error": keys.get("error"),
            "ts": f"2026-11-22T10:00:{revision:02}.000000+00:00",
            "id": f"event-{revision}",
            "position": self._position + revision,
        }
        self.events.append({name: value for name, value in told.items() if value is not None})
        return self

    def requested(self, *platforms: str, topic: str = "The history of tea", research: bool = False) -> "History":
        wished = list(platforms or ("linkedin",))
        said = "The workflow was requested"
        return self.add("workflow-requested", said, topic=topic, research=research, platforms=wished)

    def claimed(self, work: str, attempt: int = 1, run: int = 1) -> "History":
        return self.add("work-claimed", f"Working on {work}, attempt {attempt}", work=work, run=run, attempt=attempt)

    def failed_attempt(self, work: str, attempt: int = 1, run: int = 1, why: str = BUSY) -> "History":
        error = {"code": "rate-limited", "message": why, "retryable": True}
        said = f"An attempt at {work} failed"
        keys = {"attempt": attempt, "run": run, "error": error, "retry_at": "2026-11-22T10:30:00+00:00"}
        return self.add("attempt-failed", said, work=work, **keys)

    def researched(self) -> "History":
        sources = [{"number": 1, "url": "https://tea.example/roads", "title": "Tea roads"}]
        return self.add("research-completed", "The research is done", work="research", attempt=1, sources=sources)

    def written(self, title: str = "How Tea Travelled") -> "History":
        return self.add("blog-written", "The blog post is written", work="blog", attempt=1, title=title)

    def posted(self, platform: str = "linkedin") -> "History":
        keys = {"attempt": 1, "platform": platform, "text": POST, "length": len(POST)}
        return self.add("social-post-written", "The post is written", work=f"social:{platform}", **keys)

    def drawn(self) -> "History":
        return self.add(
            "illustration-drawn", "The picture is drawn", work="illustration", attempt=1, width=1024, height=768
        )

    def completed(self, run: int = 1) -> "History":
        return self.add("workflow-completed", "The workflow is complete", run=run)

    def gave_up(self, work: str, run: int = 1, why: str = "The quota is used up") -> "History":
        error = {"code": "quota", "message": why, "retryable": False}
        return self.add("workflow-failed", "The workflow failed", work=work, run=run, attempt=1, error=error)

    def cancelled(self, reason: str | None = None, run: int = 1) -> "History":
        return self.add("workflow-cancelled", "The workflow was cancelled", run=run, reason=reason)

    def resumed(self, run: int = 2) -> "History":
        return self.add("workflow-resumed", "The workflow goes on", run=run, reason=None)

    def whole(self) -> "History":
        """Everything from the request to the end, in one attempt each."""
        self.requested(research=True).claimed("research").researched().claimed("blog").written()
        return self.claimed("social:linkedin").posted().claimed("illustration").drawn().completed()


def delta(text: str, work: str = "blog", *, offset: int = 0, attempt: int = 1, run: int = 1) -> Json:
    """The frame with this piece of text."""
    keys = {"work": work, "run": run, "attempt": attempt, "offset": offset}
    return {"type": "delta", "payload": text, "workflow_id": ID, **keys}


def workflow(**changes: Any) -> Json:
    """What `GET /workflows/{id}` tells of a complete one."""
    usage = {"provider": "openai", "model": "gpt-6-luna", "cost_usd": 0.0123}
    attempt = {"run": 1, "attempt": 1, "outcome": "made", "cost_known": True, "usage": usage}
    told: Json = {
        "workflow_id": ID,
        "topic": "The history of tea",
        "title": "How Tea Travelled",
        "status": "completed",
        "run": 1,
        "research": True,
        "platforms": ["linkedin"],
        "error": None,
        "reason": None,
        "requested_at": "2026-11-22T10:00:01Z",
        "updated_at": "2026-11-22T10:00:10Z",
        "closed_at": "2026-11-22T10:00:10Z",
        "revision": 10,
        "position": 47,
        "brief": {"tone": None, "audience": None, "language": None, "length": None},
        "client_request_id": "my-1",
        "notes": "Tea reached Europe by land and by sea [1].",
        "works": [{"work": "blog", "status": "made", "attempts": [attempt]}],
        "usage": {
            "input_tokens": 5200,
            "cached_tokens": 200,
            "output_tokens": 1900,
            "images": 1,
            "searches": 2,
            "calls": 4,
            "cost_usd": 0.0123,
            "cost_known": True,
        },
        "blog_posts": [{"edition": 1, "title": "How Tea Travelled", "markdown": MARKDOWN, "cited": [1]}],
        "social_media_posts": [{"platform": "linkedin", "edition": 1, "text": POST, "length": len(POST)}],
        "images": [
            {
                "edition": 1,
                "picture": f"/images/{SHA256}",
                "sha256": SHA256,
                "bytes": 1_048_576,
                "width": 1024,
                "height": 768,
                "content_type": "image/png",
                "alt_text": "A teapot on the back of a camel",
            }
        ],
        "sources": [
            {"edition": 1, "number": 1, "url": "https://tea.example/roads", "title": "Tea roads", "quote": None}
        ],
        "held": None,
        "tables_position": 47,
    }
    return told | changes


def summary(**changes: Any) -> Json:
    """What `GET /workflows` tells of one."""
    whole = workflow()
    names = ("workflow_id", "topic", "title", "status", "requested_at", "position")
    return {name: whole[name] for name in names} | changes


def text(frame: Json) -> str:
    """The frame as it goes over the wire."""
    return json.dumps(frame)
