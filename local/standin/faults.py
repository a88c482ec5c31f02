"""The plan of faults: which call shall be slow, fail, hang or break, and how often."""

from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .jobs import Job, Kind

RULES_MAX = 1_000
SECONDS_MAX = 3_600
ADDITIONS = {"delay_s", "code", "message", "retry_after"}  # what may stand beside the one thing that a rule does


class When(BaseModel):
    """Which calls a rule is about; what is left out matches everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind | None = None
    platform: str | None = None
    topic_contains: str | None = None

    def matches(self, job: Job) -> bool:
        return (
            self.kind in (None, job.kind)
            and (self.platform is None or self.platform.casefold() == (job.platform or "").casefold())
            and (self.topic_contains or "").casefold() in job.topic.casefold()
        )


class Do(BaseModel):
    """What happens to the call: one thing, which may also come late (`delay_s`). `Do()` is no fault at all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    delay_s: float | None = Field(default=None, ge=0, le=SECONDS_MAX)
    status: int | None = Field(default=None, ge=400, le=599)
    code: str | None = None
    message: str | None = None
    retry_after: float | None = Field(default=None, ge=0, le=SECONDS_MAX)
    hang: bool = False
    cut: bool = False
    reset: bool = False
    malformed: bool = False
    empty: bool = False
    refuse: bool = False
    content_filter: bool = False
    no_results: bool = False
    text: str | None = None
    texts: tuple[str, ...] | None = Field(default=None, min_length=1)
    image_base64: str | None = None
    huge_mb: int | None = Field(default=None, ge=1, le=64)  # a stream tells a text five times over

    @model_validator(mode="after")
    def does_one_thing(self) -> Self:
        acts = [name for name, value in self if value not in (None, False) and name not in ADDITIONS]
        if len(acts) > 1:
            raise ValueError(f"A rule does one thing, not {' and '.join(acts)}.")
        if self.status is None and (self.code or self.message or self.retry_after is not None):
            raise ValueError("code, message and retry_after belong to a status.")
        return self

    @property
    def spoils(self) -> bool:
        """Is the answer another one than it would have been, or none? One that only comes late is as good as any."""
        return any(value not in (None, False) for name, value in self if name != "delay_s")


class Rule(BaseModel):
    model_config = ConfigDict(extra="forbid")

    when: When = When()
    do: Do
    times: int | None = Field(default=None, ge=1)  # None: for ever
    skip: int = Field(default=0, ge=0)  # so many matching calls pass first
    seen: int = 0  # matching calls that came as far as this rule
    used: int = 0

    def take(self) -> Do | None:
        """What this rule does to a call that matches it; None when it lets the call pass."""
        self.seen += 1
        if self.seen <= self.skip or self.used == self.times:
            return None
        self.used += 1
        if self.do.texts:  # one after the other; the last one stays
            return Do(delay_s=self.do.delay_s, text=self.do.texts[min(self.used, len(self.do.texts)) - 1])
        return self.do


def fault_for(job: Job, rules: Iterable[Rule]) -> Do:
    """The first rule that matches and has times left applies."""
    for rule in rules:
        if rule.when.matches(job) and (fault := rule.take()):
            return fault
    return Do()
