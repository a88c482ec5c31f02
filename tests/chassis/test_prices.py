"""Prices: what a call costs by the table, what stays unknown, and which tables can be used."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.prices import (
    BUILT_IN,
    FILE_BYTES_MAX,
    TABLE,
    LongPrompts,
    ModelPrice,
    Prices,
    PricesUnusable,
    ProviderPrices,
    load_prices,
    provider_at,
    read_table,
    summed,
)
from chassis.settings import Settings
from contracts.events import NUMBER_MAX, Usage
from local.services import STANDIN

quick = settings(max_examples=100, deadline=None)

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cost.md").read_text()
DATED = "as_of = 2026-11-25\n"
counts = st.integers(0, NUMBER_MAX)
dollars = st.decimals(0, 1_000_000, places=4)


def luna(**counted: Any) -> Usage:
    return Usage(provider="openai", model="gpt-6-luna", **counted)


def own(text: str, folder: Path) -> Path:
    file = folder / "prices.toml"
    file.write_text(DATED + text)
    return file


class TestBuiltIn:
    def test_table_is_of_a_day_that_has_been(self) -> None:
        assert datetime(2026, 1, 1, tzinfo=UTC).date() < TABLE.as_of <= datetime.now(UTC).date()

    @pytest.mark.parametrize("provider", TABLE.providers)
    def test_every_provider_names_its_source(self, provider: str) -> None:
        assert TABLE.providers[provider].source

    def test_models_of_the_default_settings_have_a_price(self) -> None:
        usual = Settings()  # pyright: ignore[reportCallIssue]  (the aliased fields have defaults)
        assert {usual.text_model, usual.image_model} <= TABLE.providers["openai"].models.keys()

    @pytest.mark.parametrize("name", TABLE.providers["openai"].models)
    def test_what_is_cached_costs_less_and_output_more(self, name: str) -> None:
        price = TABLE.providers["openai"].models[name]
        assert price.input and price.output and price.output > price.input
        assert price.cached_input is None or price.cached_input < price.input


class TestCost:
    def test_each_kind_of_token_has_its_price(self) -> None:
        usage = luna(input_tokens=1_000_000, cached_tokens=400_000, output_tokens=200_000, reasoning_tokens=150_000)
        short = ModelPrice(input=Decimal(10), cached_input=Decimal(1), cache_write=Decimal(12), output=Decimal(50))
        prices = Prices({"openai": ProviderPrices(models={"gpt-6-luna": short})})
        assert prices.cost(usage, written_to_cache=100_000) == 0.4 * 1 + 0.1 * 12 + 0.5 * 10 + 0.2 * 50

    def test_reasoning_is_part_of_output(self) -> None:
        assert BUILT_IN.cost(luna(output_tokens=10, reasoning_tokens=9)) == BUILT_IN.cost(luna(output_tokens=10))

    def test_long_request_costs_more_as_a_whole(self) -> None:
        just, more = (BUILT_IN.cost(luna(input_tokens=tokens, output_tokens=1_000)) for tokens in (272_000, 272_001))
        assert (just, more) == (0.0277, 0.0551502)

    def test_one_cached_token_is_not_lost_to_rounding(self) -> None:
        assert BUILT_IN.cost(luna(input_tokens=1, cached_tokens=1)) == 1e-8

    def test_half_a_nano_dollar_is_rounded_up(self) -> None:
        price = ModelPrice(input=Decimal("0.0005"), output=Decimal(0))
        prices = Prices({"openai": ProviderPrices(models={"gpt-6-luna": price})})
        assert [prices.cost(luna(input_tokens=tokens)) for tokens in (0, 1, 2, 3)] == [0, 1e-9, 1e-9, 2e-9]

    def test_searches_are_paid_beside_the_tokens(self) -> None:
        assert BUILT_IN.cost(luna(output_tokens=2_000_000, searches=3)) == 1.03

    def test_picture_may_have_a_price_of_its_own(self) -> None:
        prices = Prices({"p": ProviderPrices(models={"brush": ModelPrice(image=Decimal("0.04"))})})
        usage = Usage(provider="p", model="brush", images=2)
        assert prices.cost(usage, is_counted=False) == 0.08

    def test_standin_of_one_machine_is_free_by_its_name(self) -> None:
        assert BUILT_IN.providers[STANDIN].free

    def test_free_provider_costs_nothing_whatever_it_does(self) -> None:
        usage = Usage(provider="stand-in", model="anything", output_tokens=9, searches=1, images=1)
        assert BUILT_IN.cost(usage, tier="priority", is_counted=False) == 0.0

    def test_credits_cost_what_the_provider_asks(self) -> None:
        assert [BUILT_IN.of_credits(name, 2) for name in ("tavily", "stand-in", "openai", "nobody")] == [
            0.016,
            0.0,
            None,
            None,
        ]


class TestUnknown:
    @pytest.mark.parametrize(
        "usage",
        [
            Usage(provider="localhost", model="gpt-6-luna", output_tokens=1),
            Usage(provider="openai", model="gpt-7", output_tokens=1),
            Usage(provider="openai", model="gpt-6-luna-mini", output_tokens=1),
            Usage(provider="openai", model="GPT-6-LUNA", output_tokens=1),
        ],
        ids=["provider", "model", "longer-name", "capitals"],
    )
    def test_what_the_table_does_not_name_has_no_price(self, usage: Usage) -> None:
        assert BUILT_IN.cost(usage) is None

    def test_unknown_tier_has_no_price(self) -> None:
        assert BUILT_IN.cost(luna(output_tokens=1), tier="ultrafast") is None

    def test_tokens_that_were_not_counted_have_no_price(self) -> None:
        assert BUILT_IN.cost(luna(), is_counted=False) is None

    def test_search_without_a_price_hides_the_whole_cost(self) -> None:
        prices = Prices({"p": ProviderPrices(models={"m": ModelPrice(input=Decimal(1), output=Decimal(1))})})
        without, searching = (Usage(provider="p", model="m", searches=searches) for searches in (0, 1))
        assert (prices.cost(without), prices.cost(searching)) == (0.0, None)

    def test_regional_address_is_not_the_one_whose_prices_are_known(self) -> None:
        assert provider_at("eu.api.openai.com") == "eu.api.openai.com"


class TestNames:
    def test_snapshot_costs_what_its_model_costs(self) -> None:
        usage = Usage(provider="openai", model="gpt-6-luna-2026-09-22", output_tokens=2_000_000)
        assert BUILT_IN.cost(usage) == 1.0

    def test_snapshot_with_a_price_of_its_own_keeps_it(self) -> None:
        plain, dated = (ModelPrice(input=Decimal(1), output=Decimal(cost)) for cost in (1, 2))
        prices = Prices({"p": ProviderPrices(models={"m": plain, "m-2026-09-22": dated})})
        told = [prices.cost(Usage(provider="p", model=name, output_tokens=10**6)) for name in ("m", "m-2026-09-22")]
        assert told == [1.0, 2.0]


@st.composite
def model_prices(draw: st.DrawFn) -> ModelPrice:
    """Any price of tokens and pictures, with and without prices for the cache and for long requests."""
    factor = st.decimals(1, 10, places=2)
    long = st.builds(LongPrompts, above=st.integers(1, NUMBER_MAX), input=factor, output=factor)
    return ModelPrice(
        input=draw(dollars),
        output=draw(dollars),
        cached_input=draw(st.none() | dollars),
        cache_write=draw(st.none() | dollars),
        image=draw(st.none() | dollars),
        long=draw(st.none() | long),
    )


usages = st.builds(
    Usage,
    provider=st.just("p"),
    model=st.just("m"),
    input_tokens=counts,
    cached_tokens=counts,
    output_tokens=counts,
    searches=st.integers(0, 1_000),
    images=st.integers(0, 10),
)


class TestWhateverIsTold:
    @quick
    @given(model_prices(), usages, st.integers(-NUMBER_MAX, NUMBER_MAX))
    def test_cost_is_a_number_that_an_event_may_hold(self, price: ModelPrice, usage: Usage, written: int) -> None:
        prices = Prices({"p": ProviderPrices(search=Decimal(10), models={"m": price})})
        cost = prices.cost(usage, written_to_cache=written)
        assert cost is not None and cost >= 0
        assert Usage(provider="p", model="m", cost_usd=cost).cost_usd == cost

    @quick
    @given(model_prices(), usages, usages)
    def test_two_calls_cost_what_each_one_costs(self, price: ModelPrice, one: Usage, other: Usage) -> None:
        price = price.model_copy(update={"long": None})
        prices = Prices({"p": ProviderPrices(search=Decimal(10), models={"m": price})})
        one, other = (
            usage.model_copy(update={"cached_tokens": min(usage.cached_tokens, usage.input_tokens)})
            for usage in (one, other)
        )
        names = ("input_tokens", "cached_tokens", "output_tokens", "searches", "images")
        both = one.model_copy(update={name: getattr(one, name) + getattr(other, name) for name in names})
        assert prices.cost(both) == pytest.approx(summed(prices.cost(one), prices.cost(other)), rel=1e-12, abs=2e-9)

    @quick
    @given(model_prices(), usages)
    def test_cache_costs_no_more_than_it_would_as_input(self, price: ModelPrice, usage: Usage) -> None:
        price = price.model_copy(update={"cached_input": Decimal(0)})
        prices = Prices({"p": ProviderPrices(search=Decimal(10), models={"m": price})})
        cached, fresh = prices.cost(usage), prices.cost(usage.model_copy(update={"cached_tokens": 0}))
        assert cached is not None and fresh is not None and cached <= fresh


class TestSummed:
    @quick
    @given(st.lists(st.integers(0, 10**15)))
    def test_sums_of_nano_dollars_are_exact(self, nanos: list[int]) -> None:
        assert summed(*(float(Decimal(nano) / 10**9) for nano in nanos)) == float(Decimal(sum(nanos)) / 10**9)

    @quick
    @given(st.lists(st.floats(0, 1e18)), st.lists(st.floats(0, 1e18)))
    def test_one_that_is_unknown_makes_all_unknown(self, before: list[float], after: list[float]) -> None:
        assert summed(*before, None, *after) is None


class TestOwnFile:
    def test_built_in_prices_hold_without_one(self) -> None:
        assert load_prices() is BUILT_IN

    def test_it_replaces_a_model_and_leaves_the_others(self, tmp_path: Path) -> None:
        file = own("[providers.openai.models.gpt-6-luna]\ninput = 1\noutput = 2.5\n", tmp_path)
        prices, usage = (
            load_prices(file),
            luna(input_tokens=10**6, cached_tokens=10**6, output_tokens=10**6, searches=1),
        )
        assert prices.cost(usage) == 3.51  # its cached tokens as input; the price of a search is still the built-in one
        sol = Usage(provider="openai", model="gpt-6-sol", output_tokens=10**6)
        assert prices.cost(sol) == BUILT_IN.cost(sol) == 10.0

    def test_it_names_a_provider_of_ones_own(self, tmp_path: Path) -> None:
        file = own('[providers."llm.example.org".models."qwen:7b"]\ninput = 0.1\noutput = 0.2\n', tmp_path)
        usage = Usage(provider="llm.example.org", model="qwen:7b", output_tokens=10**6)
        assert (load_prices(file).cost(usage), BUILT_IN.cost(usage)) == (0.2, None)

    def test_it_may_call_a_provider_free(self, tmp_path: Path) -> None:
        file = own("[providers.localhost]\nfree = true\n", tmp_path)
        assert load_prices(file).cost(Usage(provider="localhost", model="llama")) == 0.0

    def test_it_changes_one_price_of_a_provider(self, tmp_path: Path) -> None:
        prices = load_prices(own("[providers.tavily]\ncredit = 0.005\n", tmp_path))
        assert prices.of_credits("tavily", 2) == 0.01

    def test_example_of_the_documentation_is_one(self, tmp_path: Path) -> None:
        (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
        file = tmp_path / "prices.toml"
        file.write_text(example)
        prices = load_prices(file)
        assert prices.cost(Usage(provider="pictures.example.org", model="brush", images=1), is_counted=False) == 0.04
        assert prices.cost(luna(output_tokens=10**6)) == 0.5


class TestUnusableFile:
    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("[providers.p]\nsearch = -1\n", "providers.p.search: Input should be greater than or equal to 0"),
            ("[providers.p]\nsearch = nan\n", "providers.p.search: Input should be a finite number"),
            ("[providers.p]\nsearch = 1e9\n", "providers.p.search: Input should be less than or equal to 1000000"),
            ("[providers.p]\nserach = 1\n", "providers.p.serach: Extra inputs are not permitted"),
            ("[providers.p.models.m]\ninput = 1\n", "providers.p.models.m: input and output are told together"),
            ("[providers.p.models.m]\n", "providers.p.models.m: either input and output, or image is needed"),
            (
                "[providers.p.models.m]\nimage = 1\ncached_input = 1\n",
                "providers.p.models.m: what is told of tokens needs input and output",
            ),
            ("[providers.p.tiers]\nflex = 0\n", "providers.p.tiers.flex: Input should be greater than 0"),
            ("providers = 3\n", "providers: Input should be a valid dictionary"),
            ("[providers\n", "is no TOML (Expected ']' at the end of a table declaration"),
        ],
    )
    def test_mistake_is_told_with_its_place(self, tmp_path: Path, text: str, why: str) -> None:
        file = own(text, tmp_path)
        with pytest.raises(PricesUnusable) as raised:
            read_table(file)
        assert str(file) in str(raised.value) and why in str(raised.value)

    def test_table_without_a_date_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "prices.toml"
        file.write_text("[providers]\n")
        with pytest.raises(PricesUnusable, match="as_of: Field required"):
            read_table(file)

    def test_only_the_first_mistakes_are_told(self, tmp_path: Path) -> None:
        with pytest.raises(PricesUnusable) as raised:
            read_table(own("[providers.p]\na = 1\nb = 1\nc = 1\nd = 1\n", tmp_path))
        assert str(raised.value).count("Extra inputs") == 3 and str(raised.value).endswith("; …")

    @pytest.mark.parametrize(
        ("content", "why"),
        [(b"\xff", "is no TOML"), (b"#" * (FILE_BYTES_MAX + 1), "is larger than 1,048,576 bytes")],
        ids=["binary", "huge"],
    )
    def test_other_file_is_refused(self, tmp_path: Path, content: bytes, why: str) -> None:
        file = tmp_path / "prices.toml"
        file.write_bytes(content)
        with pytest.raises(PricesUnusable, match=why):
            read_table(file)

    @pytest.mark.parametrize(("name", "why"), [("none.toml", "No such file or directory"), (".", "Is a directory")])
    def test_file_that_cannot_be_read_says_why(self, tmp_path: Path, name: str, why: str) -> None:
        with pytest.raises(PricesUnusable, match=why):
            read_table(tmp_path / name)


def test_nothing_in_the_table_is_a_binary_fraction() -> None:
    def numbers(value: Any) -> list[object]:
        if isinstance(value, dict):
            return [one for part in cast(dict[str, Any], value).values() for one in numbers(part)]
        return [value]

    assert not [one for one in numbers(TABLE.model_dump()) if isinstance(one, float)]
