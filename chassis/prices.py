"""Prices: what a call cost in US dollars, by a dated table. What the table does not tell is unknown, never guessed.

chassis/prices.toml ───────────┐
                               ├──> Prices ──usage──> dollars, or None
PRESSROOM_PRICES (goes first) ─┘
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contracts.events import Usage

OPENAI, TAVILY = "openai", "tavily"

AT_HOST: Mapping[str, str] = {"api.openai.com": OPENAI, "api.tavily.com": TAVILY}
"""Who answers there. Anybody else is called by the host's name: what an address of one's own asks for, nobody knows."""

SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
"""The date of a model's snapshot: it costs what the model costs, where it has no price of its own."""

NANO_DOLLAR = Decimal("1e-9")
"""To which a cost is rounded: a fraction of one token of the cheapest model."""

FILE_BYTES_MAX = 1024**2

COMPLAINTS_MAX = 3
"""Of a price file: so many mistakes are told at a time."""

MILLION, THOUSAND = Decimal(1_000_000), Decimal(1_000)

Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Factor = Annotated[Decimal, Field(gt=0, le=1_000, allow_inf_nan=False)]


class PricesUnusable(Exception):
    """The price file cannot be used; the sentence says why."""


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LongPrompts(_Told):
    """Above how many input tokens a whole call costs so many times as much."""

    above: Annotated[int, Field(ge=1)]
    input: Factor
    output: Factor


class ModelPrice(_Told):
    """What a model asks for a million tokens, or for a picture. A cache price that is not told is that of input."""

    input: Dollars | None = None
    cached_input: Dollars | None = None
    cache_write: Dollars | None = None
    output: Dollars | None = None
    image: Dollars | None = None
    long: LongPrompts | None = None

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        if (self.input is None) != (self.output is None):
            raise ValueError("input and output are told together")
        if self.input is None and self.image is None:
            raise ValueError("either input and output, or image is needed")
        if self.input is None and not (self.cached_input is self.cache_write is self.long is None):
            raise ValueError("what is told of tokens needs input and output")
        return self

    @property
    def counts_tokens(self) -> bool:
        """Whether the cost depends on how many tokens there were."""
        return self.input is not None

    def of_tokens(self, usage: Usage, *, written: int) -> Decimal:
        """What these tokens cost. Read from the cache and written to it are parts of input, reasoning one of output."""
        if self.input is None or self.output is None:
            return Decimal(0)
        read = min(usage.cached_tokens, usage.input_tokens)
        written = max(0, min(written, usage.input_tokens - read))
        given = (
            read * (self.input if self.cached_input is None else self.cached_input)
            + written * (self.input if self.cache_write is None else self.cache_write)
            + (usage.input_tokens - read - written) * self.input
        )
        made = usage.output_tokens * self.output
        if self.long and usage.input_tokens > self.long.above:
            given, made = given * self.long.input, made * self.long.output
        return (given + made) / MILLION


class ProviderPrices(_Told):
    """What one provider asks for. `search` is for 1,000 searches, `tiers` are factors for tokens."""

    source: str = ""
    free: bool = False
    search: Dollars | None = None
    credit: Dollars | None = None
    tiers: Mapping[str, Factor] = {}
    models: Mapping[str, ModelPrice] = {}

    def model(self, name: str) -> ModelPrice | None:
        """The price of the model, by its very name, else by that without the date of its snapshot."""
        return self.models.get(name) or self.models.get(SNAPSHOT.sub("", name))

    def tier(self, name: str | None) -> Decimal | None:
        """How many times the standard price this tier costs; None where that is not told."""
        return Decimal(1) if name in (None, "default") else self.tiers.get(name)

    def extended_by(self, own: "ProviderPrices") -> "ProviderPrices":
        """These prices, with what the other table tells in their place."""
        told = {name: getattr(own, name) for name in own.model_fields_set}
        return self.model_copy(update={**told, "models": {**self.models, **own.models}})


class PriceTable(_Told):
    """A file of prices, and of which day they are."""

    as_of: date
    providers: Mapping[str, ProviderPrices]


@dataclass(frozen=True)
class Prices:
    """What is known of prices."""

    providers: Mapping[str, ProviderPrices]

    def cost(
        self, usage: Usage, *, written_to_cache: int = 0, tier: str | None = None, is_counted: bool = True
    ) -> float | None:
        """What this one call cost, in US dollars; None where that is not known.

        `tier`: how the provider served it. `is_counted`: whether the provider told how many tokens there were.
        """
        provider = self.providers.get(usage.provider)
        if provider is None or provider.free:
            return None if provider is None else 0.0
        model, factor = provider.model(usage.model), provider.tier(tier)
        if model is None or factor is None or (model.counts_tokens and not is_counted):
            return None
        if usage.searches and provider.search is None:
            return None
        searched = usage.searches * (provider.search or Decimal(0)) / THOUSAND
        pictured = usage.images * (model.image or Decimal(0))
        return _rounded(model.of_tokens(usage, written=written_to_cache) * factor + searched + pictured)

    def of_credits(self, provider: str, credits: int) -> float | None:
        """What so many of this provider's credits cost, in US dollars; None where that is not known."""
        known = self.providers.get(provider)
        if known is not None and known.free:
            return 0.0
        return None if known is None or known.credit is None else _rounded(credits * known.credit)

    def extended_by(self, own: PriceTable) -> "Prices":
        """These prices, with those of one's own table in their place, and beside them."""
        changed = {
            name: self.providers[name].extended_by(told) if name in self.providers else told
            for name, told in own.providers.items()
        }
        return Prices({**self.providers, **changed})


def summed(*costs: float | None) -> float | None:
    """The costs together, as exact as they are written; None where one is unknown: a part is not the whole."""
    known = [Decimal(repr(cost)) for cost in costs if cost is not None]
    return float(sum(known, Decimal(0))) if len(known) == len(costs) else None


def provider_at(host: str) -> str:
    """The name of the provider that answers there."""
    return AT_HOST.get(host, host)


def load_prices(own: Path | None = None) -> Prices:
    """The built-in prices, extended by one's own file. Raises PricesUnusable."""
    return BUILT_IN if own is None else BUILT_IN.extended_by(read_table(own))


def read_table(path: Path) -> PriceTable:
    """The prices in this file. Raises PricesUnusable."""
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES_MAX + 1)
        if len(text) > FILE_BYTES_MAX:
            raise PricesUnusable(f"{path} is larger than {FILE_BYTES_MAX:,} bytes")
        return PriceTable.model_validate(tomllib.loads(text.decode(), parse_float=Decimal))
    except OSError as gone:
        raise PricesUnusable(f"{path} cannot be read ({gone.strerror})") from gone
    except ValidationError as wrong:
        raise PricesUnusable(f"{path}: {_complaints(wrong)}") from wrong
    except ValueError as wrong:  # no TOML, or no UTF-8
        raise PricesUnusable(f"{path} is no TOML ({wrong})") from wrong


def _complaints(wrong: ValidationError) -> str:
    problems = wrong.errors(include_url=False, include_input=False)
    told = [
        f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}"
        for one in problems[:COMPLAINTS_MAX]
    ]
    return "; ".join([*told, "…"] if len(problems) > COMPLAINTS_MAX else told)


def _rounded(amount: Decimal) -> float:
    return float(amount.quantize(NANO_DOLLAR, ROUND_HALF_UP))


TABLE = read_table(Path(__file__).with_suffix(".toml"))
"""What Pressroom brings along."""

BUILT_IN = Prices(TABLE.providers)
