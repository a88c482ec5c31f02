"""How things are said to people: names of works, durations, sizes, costs; and how foreign text is made harmless. Pure.

Topics, model texts and reasons come from elsewhere. A terminal obeys control characters, so all that a server says goes
through `harmless` before anything else sees it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but tab and newline (a terminal obeys them), and half surrogate pairs (they cannot be sent)."""

TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that turn the direction of all that follows in a line: of the words of others, and then of ours."""

UNESCAPED = re.compile("[\x7f-\x9f\ud800-\udfff]")
"""What JSON leaves as it is, though a terminal obeys it or cannot show it."""

REPLACEMENT = "\ufffd"

NAMES = {"research": "Research", "blog": "Blog post", "illustration": "Picture"}
PLATFORMS = {"linkedin": "LinkedIn", "x": "X", "facebook": "Facebook", "instagram": "Instagram"}

T = TypeVar("T")

Json = dict[str, Any]


# ---------------------------------------------------------------- the words of others


def harmless(value: T) -> T:
    """The same value, with every text in it such that a terminal may show it."""
    return cast(T, _harmless(value))


def _harmless(value: Any) -> Any:
    match value:
        case str():
            return UNPRINTABLE.sub(REPLACEMENT, value.replace("\r\n", "\n"))
        case dict():
            items = cast(dict[Any, Any], value).items()
            return {_harmless(key): _harmless(part) for key, part in items}
        case list():
            return [_harmless(part) for part in cast(list[Any], value)]
        case _:
            return value


def one_line(text: str, length_max: int | None = None) -> str:
    """The text in one line, cut with … where it is longer than may be."""
    line = " ".join(TURNING.sub("", harmless(text)).split())
    if length_max is None or len(line) <= length_max:
        return line
    return line[: length_max - 1].rstrip() + "…"


def pretty(value: Any) -> str:
    """JSON as programs and people read it; the same value as was given."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return UNESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


# ---------------------------------------------------------------- names and numbers


def name_of(work: str) -> str:
    """What people call this work."""
    kind, _, platform = work.partition(":")
    return f"{platform_name(platform)} post" if kind == "social" else NAMES.get(work, one_line(work))


def platform_name(platform: str) -> str:
    return PLATFORMS.get(platform, one_line(platform).capitalize())


def count(number: int, thing: str, things: str | None = None) -> str:
    """As `1 source` or `2,000 sources`."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def sentence(text: str) -> str:
    """The text in one line, with a full stop where it ends with none."""
    line = one_line(text)
    return line if line.endswith((".", "!", "?", "…")) else f"{line}."


def lasted(duration: timedelta) -> str:
    """As `12 s`, `3 min 5 s`, `2 h 10 min`. A clock that is behind the other one's makes no time negative."""
    seconds = max(0, round(duration.total_seconds()))
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def clock(moment: datetime) -> str:
    """The time of day where the reader is."""
    return f"{moment.astimezone():%H:%M:%S}"


def ago(moment: datetime, now: datetime) -> str:
    """As `5 s ago`, `3 days ago`; what is long ago by its date. At most eleven characters."""
    seconds = max(0, round((now - moment).total_seconds()))
    for unit, length in (("s", 60), ("min", 3600), ("h", 86400)):
        if seconds < length:
            return f"{seconds // {'s': 1, 'min': 60, 'h': 3600}[unit]} {unit} ago"
    days = seconds // 86400
    return f"{count(days, 'day')} ago" if days < 7 else f"{moment.astimezone():%Y-%m-%d}"


def size(number: int) -> str:
    """As `512 B`, `1.4 MB`."""
    amount, unit = float(number), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def moment_of(text: Any) -> datetime | None:
    """The moment that this text tells, None where it tells none."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


# ---------------------------------------------------------------- cost


def cost(workflow: Mapping[str, Any]) -> str:
    """What a workflow cost, as far as that is known, and why it is not known exactly."""
    usage: Json = workflow.get("usage") or {}
    dollars = usage.get("cost_usd") or 0.0
    if usage.get("cost_known", True):
        return f"cost: ${dollars:,.4f}"
    why = "; ".join(_reasons(workflow)) or "the server could not tell all of it"
    return f"cost: at least ${dollars:,.4f} ({why})" if dollars else f"cost: unknown ({why})"


def cost_in_short(usage: Mapping[str, Any] | None) -> str:
    """As `$0.0123`, `≥ $0.0123` where not all of it is known; nothing where no cost is told."""
    dollars = (usage or {}).get("cost_usd")
    if usage is None or dollars is None:
        return ""
    if usage.get("cost_known", True):
        return f"${dollars:,.4f}"
    return f"≥ ${dollars:,.4f}" if dollars else "unknown"


def _reasons(workflow: Mapping[str, Any]) -> list[str]:
    attempts: list[Json] = [one for work in workflow.get("works") or () for one in work.get("attempts") or ()]
    told = [one["usage"] for one in attempts if one.get("usage")]
    models = sorted({one_line(usage["model"]) for usage in told if usage.get("cost_usd") is None})
    reasons = [f"no price is known for {_and(models)}"] if models else []
    if any(one.get("cost_known") is False for one in attempts):
        reasons.append("an attempt that failed may have been billed")
    return reasons


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def used(usage: Mapping[str, Any]) -> str:
    """What a workflow used of its providers, in a line."""
    counts = {name: int(usage.get(name) or 0) for name in ("input_tokens", "cached_tokens", "output_tokens")}
    parts = [f"{counts['input_tokens']:,} tokens read"]
    if counts["cached_tokens"]:
        parts[0] += f" ({counts['cached_tokens']:,} of them cached)"
    parts.append(f"{counts['output_tokens']:,} written")
    for name, thing, things in (("images", "image", None), ("searches", "search", "searches"), ("calls", "call", None)):
        if number := int(usage.get(name) or 0):
            parts.append(count(number, thing, things))
    return "used: " + ", ".join(parts)
