"""The reply to a request: status, headers and bytes, exactly in OpenAI's shapes, errors included."""

import base64
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .answers import answer_to
from .faults import Do
from .jobs import ImageRequest, Job, TextRequest
from .pictures import draw_picture
from .responses import Json, events_of, new_id, response_to, tokens

SIDE_MIN, SIDE_MAX = 64, 2_048  # pixels; a larger picture would no longer be quick
IMAGE_TOKENS = {"low": 272, "medium": 1_056, "high": 4_160}

# The code that OpenAI usually sends with a status, and type and message by code.
CODES = {
    401: "invalid_api_key",
    403: "unsupported_country_region_territory",
    404: "model_not_found",
    429: "rate_limit_exceeded",
    503: "server_is_overloaded",
}
ERRORS = {
    "credit_balance_exhausted": ("insufficient_quota", "Your credit balance is used up."),
    "insufficient_quota": ("insufficient_quota", "You exceeded your current quota."),
    "invalid_api_key": ("invalid_request_error", "Incorrect API key provided."),
    "model_not_found": ("invalid_request_error", "The model does not exist or you do not have access to it."),
    "moderation_blocked": ("image_generation_user_error", "Your request was rejected by the safety system."),
    "rate_limit_exceeded": ("requests", "Rate limit reached for requests. Please try again later."),
    "server_is_overloaded": ("service_unavailable_error", "The model is overloaded. Please try again later."),
    "slow_down": ("rate_limit_error", "The request rate grew too quickly. Reduce it, then raise it slowly."),
    "unsupported_country_region_territory": ("request_forbidden", "Your region is not supported."),
}
BAD_REQUEST = ("invalid_request_error", "The request could not be processed.")
SERVER_ERROR = ("server_error", "The server had an error while processing your request.")


@dataclass(frozen=True)
class Reply:
    pieces: Sequence[bytes]
    status: int = 200
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=lambda: {"x-request-id": new_id("req")})


def reply_to(request: TextRequest | ImageRequest, job: Job, fault: Do, base_url: str) -> Reply:
    if fault.status:
        return error(fault.status, fault.code, fault.message, retry_after_s=fault.retry_after)
    if isinstance(request, ImageRequest):
        reply = image_reply(request, fault)
    else:
        response = response_to(request, answer_to(job, fault, base_url))
        reply = stream_of(response) if request.stream else json_reply(response)
    return malformed(reply) if fault.malformed else reply


def image_reply(request: ImageRequest, fault: Do) -> Reply:
    if fault.refuse or fault.content_filter:
        return error(400, "moderation_blocked")
    size = "1024x1024" if request.size in (None, "auto") else request.size
    width, height = map(int, size.split("x")) if re.fullmatch(r"\d{2,4}x\d{2,4}", size) else (0, 0)
    if not (SIDE_MIN <= width <= SIDE_MAX and SIDE_MIN <= height <= SIDE_MAX):
        return error(400, "invalid_value", f"Invalid size: sides of {SIDE_MIN} to {SIDE_MAX} pixels are supported.")
    png = draw_picture(request.prompt, width, height)
    png += bytes((fault.huge_mb or 0) * 1_000_000)  # readers of PNG stop at its end mark and pass over the rest
    image = base64.b64encode(png).decode() if fault.image_base64 is None else fault.image_base64
    quality = request.quality if request.quality in IMAGE_TOKENS else "medium"
    asked, drew = tokens(request.prompt), IMAGE_TOKENS[quality]
    return json_reply(
        {
            "created": int(time.time()),
            "background": "opaque",
            "data": [] if fault.empty else [{"b64_json": image}],
            "output_format": "png",
            "quality": quality,
            "size": size,
            "usage": {
                "input_tokens": asked,
                "input_tokens_details": {"image_tokens": 0, "text_tokens": asked},
                "output_tokens": drew,
                "output_tokens_details": {"image_tokens": drew, "text_tokens": 0},
                "total_tokens": asked + drew,
            },
        }
    )


def error(
    status: int, code: str | None = None, message: str | None = None, *, retry_after_s: float | None = None
) -> Reply:
    code = code or CODES.get(status)
    kind, usual_message = ERRORS.get(code or "", SERVER_ERROR if status >= 500 else BAD_REQUEST)
    problem = {"message": message or usual_message, "type": kind, "param": None, "code": code}
    reply = json_reply({"error": problem}, status)
    if retry_after_s is not None:
        reply.headers["retry-after"] = f"{retry_after_s:g}"
    return reply


def json_reply(body: Json, status: int = 200) -> Reply:
    return Reply([encode(body)], status)


def stream_of(response: Json) -> Reply:
    events = [b"event: %s\ndata: %s\n\n" % (event["type"].encode(), encode(event)) for event in events_of(response)]
    return Reply(events, media_type="text/event-stream; charset=utf-8")


def encode(body: Json) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def malformed(reply: Reply) -> Reply:
    """A success that ends in the middle of its JSON, and in good order as far as HTTP can tell."""
    *whole, last = reply.pieces[:3]
    broken = last[: len(last) // 2] + (b"\n\n" if whole else b"")
    return replace(reply, pieces=[*whole, broken])
