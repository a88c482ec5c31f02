"""The model port: texts, pictures and searches from a model, and a name for every way in which it can fail.

Speaks OpenAI's protocol through its SDK (Responses and Images), against any server that does. The SDK's own retries are
off: every attempt is ours, and stands in the log.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, cast

import httpx2
import openai
from openai import AsyncOpenAI
from openai.types import ImagesResponse
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseErrorEvent,
    ResponseFailedEvent,
    ResponseIncompleteEvent,
    ResponseOutputRefusal,
    ResponseOutputText,
    ResponseTextDeltaEvent,
)
from pydantic import ConfigDict

from chassis.answers import once
from chassis.event_store import utc_now
from chassis.prices import load_prices, provider_at
from chassis.settings import Settings
from chassis.stage import GiveUp, Retry, Spoils, Verdicts, WorkFailed
from chassis.usage import total
from contracts.events import UNSTORABLE, Usage

Say = Callable[[str], Awaitable[None]]

ANSWER_CHARACTERS_MAX = 200_000
"""Of a text: thirty times the longest blog post. An event may have one megabyte."""

PICTURE_BYTES_MAX = 32 * 1024**2

RETRY_AFTER_MAX = timedelta(days=1)
"""Whatever a provider asks for: a workflow that waits longer is better resumed by hand."""

CALL_TIMEOUT_S = 600.0
"""For the SDK; the deadline of the attempt, which is shorter, is what counts."""

QUOTA_CODES = {
    "insufficient_quota",
    "credit_balance_exhausted",
    "billing_hard_limit_reached",
    "billing_not_active",
    "quota_exceeded",
}
"""429s that no waiting mends: the account has to be topped up."""

BROKE_OFF = "The connection to the model broke off. It may have been billed."

REFUSAL_CODES = {"content_policy_violation", "moderation_blocked", "content_filter"}


class RateLimited(WorkFailed):
    """The model's provider asks for fewer requests at a time."""


class ModelUnavailable(WorkFailed):
    """The model does not answer, or answers with an error of its own. A part of an answer may have been billed."""


class AnswerMalformed(WorkFailed):
    """The model's answer is empty or cannot be read. It may have been billed."""

    spoils = Spoils.LAST_ANSWER


class QuotaUsedUp(WorkFailed):
    """The account's quota at the model's provider is used up. Top it up, then resume the workflow."""


class KeyRefused(WorkFailed):
    """The model's provider refuses the key. Set a valid OPENAI_API_KEY, then resume the workflow."""


class RequestRefused(WorkFailed):
    """The model's provider cannot do what was asked of it: is the model's name right?"""


class ContentRefused(WorkFailed):
    """The model refuses to work on this topic."""

    spoils = Spoils.ALL_ANSWERS  # another scene may be one that it draws


MODEL_VERDICTS: Verdicts = {
    RateLimited: Retry(timedelta(seconds=5)),
    ModelUnavailable: Retry(timedelta(seconds=2)),
    AnswerMalformed: Retry(timedelta(seconds=1)),
    QuotaUsedUp: GiveUp(),
    KeyRefused: GiveUp(),
    RequestRefused: GiveUp(),
    ContentRefused: GiveUp(retryable=False),
}
"""What follows from each failure, in every stage that uses a model."""


@dataclass(frozen=True)
class Written:
    """A text, and what it cost."""

    text: str
    usage: Usage


@dataclass(frozen=True)
class Citation:
    """Where a text cites a page: from character `start` to before `end` stands the mark."""

    url: str
    title: str
    start: int
    end: int


@dataclass(frozen=True)
class Searched:
    """A text written from a search, its citations in order, and when that was."""

    text: str
    citations: tuple[Citation, ...]
    usage: Usage
    searched_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True)
class Drawn:
    """A picture's bytes, and what it cost."""

    __pydantic_config__: ClassVar = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")  # where it is kept

    data: bytes
    usage: Usage


class Model:
    """Texts, searches and pictures from one provider. Every method raises WorkFailed, in one of the kinds above."""

    def __init__(self, settings: Settings) -> None:
        self._text_model, self._image_model, self._image_size = (
            settings.text_model,
            settings.image_model,
            settings.image_size,
        )
        self._client = AsyncOpenAI(
            # A server of one's own often wants no key; the SDK insists on one.
            api_key=settings.openai_api_key.get_secret_value().strip() or "none",
            base_url=settings.openai_base_url,
            max_retries=0,
            timeout=CALL_TIMEOUT_S,
        )
        self._provider = settings.provider or provider_at(self._client.base_url.host)
        self._texts = (self._provider, self._text_model)
        self._prices = load_prices(settings.prices)

    async def write(self, *, instructions: str, input: str, say: Say | None = None) -> Written:
        """A text as instructed about this input. `say` hears it piece by piece while it is written."""

        async def call() -> Written:
            with self._call(self._text_model):
                response = await self._respond(instructions, input, say)
            usage = self._usage(response, instructions)
            return Written(_text(response, usage), usage)

        return await once(call, Written, *self._texts, instructions, input, retell=_to(say))

    async def search(self, *, instructions: str, input: str, say: Say | None = None) -> Searched:
        """Searches the web, and writes about what was found."""
        options: dict[str, Any] = {
            "tools": [{"type": "web_search"}],
            "include": ["web_search_call.action.sources"],
        }

        async def call() -> Searched:
            with self._call(self._text_model):
                response = await self._respond(instructions, input, say, **options)
            usage = self._usage(response, instructions)
            return Searched(_text(response, usage), _citations(response), usage)

        return await once(call, Searched, *self._texts, instructions, input, retell=_to(say))

    async def draw(self, prompt: str) -> Drawn:
        """A picture of what the prompt says."""
        asked = (self._provider, self._image_model, self._image_size, prompt)
        return await once(lambda: self._draw(prompt), Drawn, *asked)

    async def _draw(self, prompt: str) -> Drawn:
        with self._call(self._image_model):
            answer = cast(
                object,
                await self._client.images.generate(
                    model=self._image_model, prompt=prompt, size=cast(Any, self._image_size), n=1
                ),
            )
            if not isinstance(answer, ImagesResponse):  # a web page, say: the SDK passes on as text what is no JSON
                raise AnswerMalformed(cost_known=False)
        usage = self._usage_of_picture(answer, prompt)
        encoded = answer.data[0].b64_json if answer.data else None
        if not encoded or len(encoded) > PICTURE_BYTES_MAX * 4 // 3 + 4:
            raise AnswerMalformed("The model's answer holds no picture, or far too large a one.", usage=usage)
        try:
            return Drawn(base64.b64decode(encoded, validate=True), usage)
        except binascii.Error as wrong:
            raise AnswerMalformed("The model's answer holds no readable picture.", usage=usage) from wrong

    @contextmanager
    def _call(self, model: str) -> Generator[None]:
        """One call. Its failure has a name; where it may have been billed, it tells of a call at an unknown cost."""
        try:
            with _named():
                yield
        except WorkFailed as failed:
            if not failed.cost_known:
                failed.usage = failed.usage or Usage(provider=self._provider, model=model)
            raise

    async def _respond(self, instructions: str, input: str, say: Say | None, **options: Any) -> Response:
        """The whole response, streamed: a stream shows that the model is alive, and what it writes."""
        stream = await self._client.responses.create(
            model=self._text_model, instructions=instructions, input=input, stream=True, **options
        )
        written = 0
        async with stream:
            async for event in stream:
                if isinstance(event, ResponseTextDeltaEvent):
                    written += len(event.delta)
                    if written > ANSWER_CHARACTERS_MAX:
                        raise AnswerMalformed(
                            f"The model's answer is longer than {ANSWER_CHARACTERS_MAX:,} characters. "
                            "It may have been billed.",
                            cost_known=False,
                        )
                    if say:
                        await say(event.delta)
                elif isinstance(event, ResponseCompletedEvent | ResponseIncompleteEvent | ResponseFailedEvent):
                    return event.response
                elif isinstance(event, ResponseErrorEvent):
                    raise _by_code(event.code)
        raise ModelUnavailable("The model's answer ended in the middle. It may have been billed.", cost_known=False)

    def _usage(self, response: Response, instructions: str) -> Usage:
        told: Any = response.usage
        given, made = getattr(told, "input_tokens_details", None), getattr(told, "output_tokens_details", None)
        usage = Usage(
            provider=self._provider,
            model=response.model,
            input_tokens=getattr(told, "input_tokens", 0) or 0,
            cached_tokens=getattr(given, "cached_tokens", 0) or 0,
            output_tokens=getattr(told, "output_tokens", 0) or 0,
            reasoning_tokens=getattr(made, "reasoning_tokens", 0) or 0,
            searches=_searches(response),
            request_ids=(response.id,),
            prompt_hash=_digest(instructions),
        )
        cost = self._prices.cost(
            usage,
            written_to_cache=int(getattr(given, "cache_write_tokens", 0) or 0),
            tier=str(response.service_tier) if response.service_tier else None,
            is_counted=told is not None,
        )
        return usage.model_copy(update={"cost_usd": cost})

    def _usage_of_picture(self, answer: ImagesResponse, prompt: str) -> Usage:
        told = answer.usage
        usage = Usage(
            provider=self._provider,
            model=self._image_model,
            input_tokens=told.input_tokens if told else 0,
            output_tokens=told.output_tokens if told else 0,
            images=len(answer.data or []),
            request_ids=_request_ids(answer),
            prompt_hash=_digest(prompt),
        )
        return usage.model_copy(update={"cost_usd": self._prices.cost(usage, is_counted=told is not None)})


def _to(say: Say | None) -> Callable[[Written | Searched], Awaitable[None]] | None:
    """Has a text that was kept heard in one piece."""
    if say is None:
        return None

    async def retell(kept: Written | Searched) -> None:
        await say(kept.text)

    return retell


@contextmanager
def having_used(usage: Usage) -> Generator[None]:
    """Adds what earlier calls of the same attempt used to a failure that passes through: it was paid for."""
    try:
        yield
    except WorkFailed as failed:
        failed.usage = total(usage, failed.usage) if failed.usage else usage
        raise


# ---------------------------------------------------------------- what an answer says


def _text(response: Response, usage: Usage) -> str:
    """The text of a finished response. Raises what stands in its place."""
    if response.status == "failed":
        raise _by_code(response.error.code if response.error else None, usage)
    if response.status == "incomplete":
        reason = response.incomplete_details.reason if response.incomplete_details else None
        if reason == "content_filter":
            raise ContentRefused(usage=usage)
        raise AnswerMalformed("The model stopped before its text was done.", usage=usage)
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    if any(isinstance(part, ResponseOutputRefusal) for part in parts):
        raise ContentRefused(usage=usage)
    text = _joined(response)
    if not text or len(text) > ANSWER_CHARACTERS_MAX:
        raise AnswerMalformed("The model's answer is empty, or far too long.", usage=usage)
    return text


def _joined(response: Response) -> str:
    # A sign in the place of each keeps the citations where they are.
    return UNSTORABLE.sub("\ufffd", "".join(part.text for part in _text_parts(response))).rstrip()


def _text_parts(response: Response) -> list[ResponseOutputText]:
    return [
        part
        for item in response.output
        if item.type == "message"
        for part in item.content
        if isinstance(part, ResponseOutputText)
    ]


def _citations(response: Response) -> tuple[Citation, ...]:
    """Every mark in the joined text, in order."""
    marks, offset = list[Citation](), 0
    for part in _text_parts(response):
        for mark in part.annotations:
            if mark.type == "url_citation":
                marks.append(Citation(mark.url, mark.title, offset + mark.start_index, offset + mark.end_index))
        offset += len(part.text)
    return tuple(sorted(marks, key=lambda mark: mark.start))


def _searches(response: Response) -> int:
    """How often the web was searched; to open a page that was found is no search, and is not billed as one."""
    calls = [item for item in response.output if item.type == "web_search_call"]
    return sum(getattr(call.action, "type", "search") == "search" for call in calls)


def _request_ids(answer: openai.BaseModel) -> tuple[str, ...]:
    request_id = getattr(answer, "_request_id", None)
    return (request_id,) if request_id else ()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# ---------------------------------------------------------------- what a failure means


@contextmanager
def _named() -> Generator[None]:
    """Gives a failure of the SDK its name here. What the provider said is not passed on: it may quote key or prompt."""
    try:
        yield
    except openai.APITimeoutError as late:
        raise ModelUnavailable("The model did not answer in time. It may have been billed.", cost_known=False) from late
    except openai.APIConnectionError as unreachable:
        if isinstance(unreachable.__cause__, httpx2.ConnectError):
            raise ModelUnavailable("The model cannot be reached.") from unreachable
        raise ModelUnavailable(BROKE_OFF, cost_known=False) from unreachable
    except openai.APIStatusError as refused:
        raise _by_status(refused) from refused
    except (openai.APIResponseValidationError, json.JSONDecodeError) as unreadable:
        raise AnswerMalformed(cost_known=False) from unreadable
    except openai.APIError as told:  # an error within a stream
        raise _by_code(told.code) from told
    except httpx2.TransportError as broken:
        raise ModelUnavailable(BROKE_OFF, cost_known=False) from broken


def _by_status(refused: openai.APIStatusError) -> WorkFailed:
    code, kind = refused.code or "", refused.type or ""
    match refused.status_code:
        case 401 | 403:
            return KeyRefused()
        case 429 if code in QUOTA_CODES or kind in QUOTA_CODES:
            return QuotaUsedUp()
        case 429:
            return RateLimited(retry_after=_retry_after(refused.response.headers))
        case status if status in (408, 409) or status >= 500:
            wait = _retry_after(refused.response.headers)
            return ModelUnavailable(f"The model's provider answered {status}.", retry_after=wait)
        case _ if code in REFUSAL_CODES:
            return ContentRefused()
        case status:
            return RequestRefused(f"The model's provider refused the request: {status} {code}".strip() + ".")


def _by_code(code: str | None, usage: Usage | None = None) -> WorkFailed:
    if code in QUOTA_CODES:
        return QuotaUsedUp(usage=usage)
    if code in ("rate_limit_exceeded", "slow_down"):
        return RateLimited(usage=usage)
    if code in REFUSAL_CODES:
        return ContentRefused(usage=usage)
    if code in (None, "server_error", "server_is_overloaded", "vector_store_timeout"):
        return ModelUnavailable("The model failed while it wrote.", usage=usage, cost_known=usage is not None)
    return RequestRefused(f"The model refused the request: {code}.", usage=usage)


def _retry_after(headers: httpx2.Headers) -> timedelta:
    """How long the provider asks to wait; zero when it does not say.

    In `Retry-After` (RFC 9110, section 10.2.3) stand seconds or a date, in OpenAI's `retry-after-ms` milliseconds. Of
    both, the longer wait counts.
    """
    asked = (wait_asked(headers.get("retry-after", "")), wait_asked(headers.get("retry-after-ms", ""), unit_s=0.001))
    return max(asked)


def wait_asked(told: str, *, unit_s: float = 1.0) -> timedelta:
    """The wait that these words ask for: a number of units, or a date. Zero for anything else, a day at the most."""
    try:
        return timedelta(seconds=max(0.0, min(float(told) * unit_s, RETRY_AFTER_MAX.total_seconds())))
    except ValueError:
        pass
    try:
        return max(timedelta(0), min(parsedate_to_datetime(told) - datetime.now(UTC), RETRY_AFTER_MAX))
    except (TypeError, ValueError):
        return timedelta(0)
