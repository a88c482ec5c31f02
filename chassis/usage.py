"""Usage: what several calls used together, and what is left to tell of a call that the log has told of already."""

from typing import Any

from chassis.prices import summed
from contracts.events import Usage

COUNTED = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "images", "searches", "calls")


def total(first: Usage, *further: Usage) -> Usage:
    """What several calls for one work used together; named after the first. The cost is known where each one's is."""
    usages = (first, *further)
    counted: dict[str, Any] = {name: sum(getattr(usage, name) for usage in usages) for name in COUNTED}
    request_ids = tuple(request_id for usage in usages for request_id in usage.request_ids)
    cost = summed(*(usage.cost_usd for usage in usages))
    return first.model_copy(update={**counted, "cost_usd": cost, "request_ids": request_ids})


def told_already(usage: Usage) -> Usage:
    """Nothing more, by the same model with the same prompt: all that this call used stands in the log."""
    return usage.model_copy(update={**dict.fromkeys(COUNTED, 0), "cost_usd": 0.0, "request_ids": ()})
