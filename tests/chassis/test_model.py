"""The model port against the stand-in, over HTTP and with the real SDK: what it gives, and the name of each failure."""

import asyncio
import hashlib
import json
import re
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from chassis import model as port
from chassis.model import (
    ANSWER_CHARACTERS_MAX,
    AnswerMalformed,
    ContentRefused,
    KeyRefused,
    Model,
    ModelUnavailable,
    QuotaUsedUp,
    RateLimited,
    RequestRefused,
    having_used,
    total,
)
from chassis.prices import provider_at
from chassis.stage import WorkFailed
from contracts.events import Usage
from local.standin.control import StandIn
from tests.chassis.plant import settings

KEY = "sk-canary-of-these-tests"
PROMPT = "Write a blog post about the canary."
SEARCH = "Find sources about the canary."
INPUT = "Topic: urban beekeeping with a canary"

Open = Callable[..., Model]
Call = Callable[[Model], Awaitable[Any]]


async def write(model: Model) -> Any:
    return await model.write(instructions=PROMPT, input=INPUT)


async def search(model: Model) -> Any:
    return await model.search(instructions=SEARCH, input=INPUT)


async def draw(model: Model) -> Any:
    return await model.draw(f"{PROMPT}\n{INPUT}")


CALLS: tuple[Call, ...] = (write, search, draw)


@pytest.fixture
async def open_model(standin: StandIn) -> AsyncGenerator[Open]:
    """Opens a model at the stand-in, or at another address."""
    async with AsyncExitStack() as stack:

        def open_model(**changes: Any) -> Model:
            told = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{standin.base_url}/v1"} | changes
            model = Model(settings(**told))
            stack.push_async_callback(model._client.close)  # pyright: ignore[reportPrivateUsage]
            return model

        yield open_model


@pytest.fixture
def model(open_model: Open) -> Model:
    return open_model()


async def failure(attempt: Awaitable[Any], kind: type[WorkFailed] = WorkFailed) -> WorkFailed:
    """How the attempt fails; its words, and those of all its causes, hold no key and no prompt."""
    with pytest.raises(kind) as raised:
        await attempt
    assert type(raised.value) is kind or kind is WorkFailed
    for told in (str(raised.value), repr(raised.value)):
        assert "canary" not in told
    return raised.value


class TestWriting:
    async def test_text_comes_with_what_it_used(self, model: Model) -> None:
        written = await write(model)
        usage = written.usage
        assert "Urban Beekeeping" in written.text and written.text == written.text.rstrip()
        assert (usage.provider, usage.model, usage.calls) == ("127.0.0.1", "gpt-6-luna", 1)
        assert usage.input_tokens > 0 and usage.output_tokens > usage.reasoning_tokens > 0
        assert usage.request_ids[0].startswith("resp_")
        assert usage.prompt_hash == hashlib.sha256(PROMPT.encode()).hexdigest()

    async def test_listener_hears_the_text_piece_by_piece(self, model: Model) -> None:
        heard: list[str] = []

        async def say(text: str) -> None:
            heard.append(text)

        written = await model.write(instructions=PROMPT, input=INPUT, say=say)
        assert len(heard) > 20 and "".join(heard).rstrip() == written.text

    async def test_zero_byte_leaves_a_sign_in_its_place(self, model: Model, standin: StandIn) -> None:
        await standin.rule(do={"text": "tea\x00leaf"})
        assert (await write(model)).text == "tea\ufffdleaf"


class TestSearching:
    async def test_every_citation_stands_at_its_place(self, model: Model) -> None:
        found = await search(model)
        assert len(found.citations) >= 3 and found.usage.searches == 1
        for cited in found.citations:
            assert found.text[cited.start : cited.end] == f"([{cited.title}]({cited.url}))"
        assert sorted(found.citations, key=lambda cited: cited.start) == list(found.citations)

    async def test_nothing_found_is_an_honest_answer(self, model: Model, standin: StandIn) -> None:
        await standin.rule(do={"no_results": True})
        found = await search(model)
        assert found.citations == () and "found no pages" in found.text


class TestDrawing:
    async def test_picture_comes_with_what_it_used(self, open_model: Open) -> None:
        drawn = await open_model(image_size="64x64").draw(PROMPT)
        assert drawn.data.startswith(b"\x89PNG") and drawn.usage.images == 1
        assert drawn.usage.model == "gpt-image-2.6-flare" and drawn.usage.output_tokens > 0
        assert drawn.usage.request_ids[0].startswith("req_")
        assert drawn.usage.prompt_hash == hashlib.sha256(PROMPT.encode()).hexdigest()

    async def test_text_that_is_no_base64_is_malformed(self, model: Model, standin: StandIn) -> None:
        await standin.rule(do={"image_base64": "%%%"})
        assert (await failure(draw(model), AnswerMalformed)).usage

    async def test_picture_far_too_large_is_malformed(self, model: Model, standin: StandIn) -> None:
        await standin.rule(do={"huge_mb": 40})
        assert (await failure(draw(model), AnswerMalformed)).usage


def luna(usage: Usage) -> float:
    """What gpt-6-luna costs by OpenAI's price list, added up by hand in billionths of a dollar."""
    fresh = usage.input_tokens - usage.cached_tokens
    return (fresh * 100 + usage.cached_tokens * 10 + usage.output_tokens * 500 + usage.searches * 10_000_000) / 1e9


class TestCost:
    """The stand-in counts as OpenAI does, so that its answers are priced as OpenAI's where they are called so."""

    async def test_text_costs_what_its_tokens_cost(self, open_model: Open) -> None:
        usage = (await write(open_model(provider="openai"))).usage
        assert usage.cost_usd == pytest.approx(luna(usage), abs=1e-9) and usage.cost_usd > 0

    async def test_search_costs_its_calls_and_its_tokens(self, open_model: Open) -> None:
        usage = (await search(open_model(provider="openai"))).usage
        assert usage.cached_tokens > 0 and usage.cost_usd == pytest.approx(luna(usage), abs=1e-9)
        assert usage.cost_usd > 0.01

    async def test_picture_costs_what_its_tokens_cost(self, open_model: Open) -> None:
        usage = (await open_model(provider="openai", image_size="64x64").draw(PROMPT)).usage
        assert usage.cost_usd == pytest.approx((usage.input_tokens * 5 + usage.output_tokens * 30) / 1e6)

    @pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
    async def test_address_that_is_not_openais_has_no_price(self, model: Model, call: Call) -> None:
        usage = (await call(model)).usage
        assert (usage.provider, usage.cost_usd) == ("127.0.0.1", None)

    @pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
    async def test_standin_costs_nothing_and_says_so(self, open_model: Open, call: Call) -> None:
        usage = (await call(open_model(provider="stand-in"))).usage
        assert (usage.provider, usage.cost_usd) == ("stand-in", 0.0)

    async def test_unknown_model_has_no_price(self, open_model: Open) -> None:
        assert (await write(open_model(provider="openai", text_model="gpt-7"))).usage.cost_usd is None

    async def test_own_price_goes_first(self, open_model: Open, tmp_path: Path) -> None:
        file = tmp_path / "prices.toml"
        file.write_text("as_of = 2026-11-25\n[providers.openai.models.gpt-6-luna]\ninput = 0\noutput = 1_000\n")
        usage = (await write(open_model(provider="openai", prices=file))).usage
        assert usage.cost_usd == pytest.approx(usage.output_tokens / 1_000)

    @pytest.mark.parametrize("fault", ["empty", "refuse", "content_filter"])
    async def test_failed_text_that_was_billed_tells_its_cost(
        self, open_model: Open, standin: StandIn, fault: str
    ) -> None:
        await standin.rule(do={fault: True})
        failed = await failure(write(open_model(provider="openai")))
        assert failed.usage and failed.usage.cost_usd == pytest.approx(luna(failed.usage), abs=1e-9)

    @pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
    @pytest.mark.parametrize("fault", ["cut", "malformed"])
    async def test_call_that_may_have_been_billed_is_one_of_unknown_cost(
        self, open_model: Open, standin: StandIn, call: Call, fault: str
    ) -> None:
        await standin.rule(do={fault: True})
        usage = (await failure(call(open_model(provider="openai")))).usage
        model = "gpt-image-2.6-flare" if call is draw else "gpt-6-luna"
        assert usage == Usage(provider="openai", model=model, calls=1, cost_usd=None)

    @pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
    async def test_call_that_was_turned_away_used_nothing(self, open_model: Open, standin: StandIn, call: Call) -> None:
        await standin.rule(do={"status": 429})
        failed = await failure(call(open_model(provider="openai")), RateLimited)
        assert (failed.usage, failed.cost_known) == (None, True)

    def test_openai_itself_is_known_by_its_name(self) -> None:
        assert provider_at("api.openai.com") == "openai"


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
class TestFailures:
    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            ((400, None), RequestRefused),
            ((400, "moderation_blocked"), ContentRefused),
            ((400, "content_policy_violation"), ContentRefused),
            ((401, None), KeyRefused),
            ((403, None), KeyRefused),
            ((404, None), RequestRefused),
            ((408, None), ModelUnavailable),
            ((409, None), ModelUnavailable),
            ((422, None), RequestRefused),
            ((429, "rate_limit_exceeded"), RateLimited),
            ((429, "slow_down"), RateLimited),
            ((429, "insufficient_quota"), QuotaUsedUp),
            ((429, "credit_balance_exhausted"), QuotaUsedUp),
            ((500, None), ModelUnavailable),
            ((503, None), ModelUnavailable),
        ],
    )
    async def test_status_and_code_have_one_name(
        self, model: Model, standin: StandIn, call: Call, error: tuple[int, str | None], kind: type[WorkFailed]
    ) -> None:
        status, code = error
        message = f"{KEY} may not say {PROMPT}"
        await standin.rule(do={"status": status, "code": code, "message": message})
        await failure(call(model), kind)
        assert [call.outcome for call in await standin.calls()] == [f"failed:{status}"]

    @pytest.mark.parametrize("status", [429, 503])
    async def test_wait_asked_for_comes_along(self, model: Model, standin: StandIn, call: Call, status: int) -> None:
        await standin.rule(do={"status": status, "retry_after": 7.5}, times=1)
        await standin.rule(do={"status": status}, times=1)
        waits = [(await failure(call(model))).retry_after for _ in range(2)]
        assert waits == [timedelta(seconds=7.5), timedelta(0)]

    async def test_hung_call_may_have_been_billed(
        self, open_model: Open, standin: StandIn, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(port, "CALL_TIMEOUT_S", 0.2)
        await standin.rule(do={"hang": True})
        failed = await failure(call(open_model()), ModelUnavailable)
        assert not failed.cost_known and "may have been billed" in str(failed)

    @pytest.mark.parametrize("fault", ["reset", "cut"])
    async def test_broken_line_may_have_been_billed(
        self, model: Model, standin: StandIn, call: Call, fault: str
    ) -> None:
        await standin.rule(do={fault: True})
        assert not (await failure(call(model), ModelUnavailable)).cost_known

    async def test_answer_that_is_no_json_is_malformed(self, model: Model, standin: StandIn, call: Call) -> None:
        await standin.rule(do={"malformed": True})
        assert not (await failure(call(model), AnswerMalformed)).cost_known

    async def test_empty_answer_is_malformed_and_counted(self, model: Model, standin: StandIn, call: Call) -> None:
        await standin.rule(do={"empty": True})
        failed = await failure(call(model), AnswerMalformed)
        assert failed.usage and failed.usage.input_tokens > 0

    @pytest.mark.parametrize("fault", ["refuse", "content_filter"])
    async def test_refusal_is_no_error_of_the_provider(
        self, model: Model, standin: StandIn, call: Call, fault: str
    ) -> None:
        await standin.rule(do={fault: True})
        failed = await failure(call(model), ContentRefused)
        assert call is draw or failed.usage

    async def test_nobody_at_the_address_costs_nothing(self, open_model: Open, call: Call) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:  # nobody listens there once it is closed
            port_number = taken.getsockname()[1]
        failed = await failure(call(open_model(OPENAI_BASE_URL=f"http://127.0.0.1:{port_number}/v1")), ModelUnavailable)
        assert failed.cost_known

    async def test_wrong_key_is_refused(self, open_model: Open, call: Call) -> None:
        await failure(call(open_model(OPENAI_API_KEY="wrong-key")), KeyRefused)

    async def test_one_attempt_is_exactly_one_call(self, model: Model, standin: StandIn, call: Call) -> None:
        await standin.rule(do={"status": 500})
        await failure(call(model), ModelUnavailable)
        await standin.clear()
        await call(model)
        assert [call.outcome for call in await standin.calls()] == ["failed:500", "answered"]


@pytest.mark.parametrize("call", [write, search], ids=lambda call: call.__name__)
async def test_text_far_too_long_is_given_up_early(model: Model, standin: StandIn, call: Call) -> None:
    await standin.rule(do={"huge_mb": 10})
    failed = await failure(call(model), AnswerMalformed)
    assert f"{ANSWER_CHARACTERS_MAX:,}" in str(failed) and not failed.cost_known


Answering = Callable[[str], Awaitable[Model]]


class TestOtherServers:
    """Answers that the stand-in never gives, word for word."""

    @pytest.fixture
    async def answering(self, open_model: Open) -> AsyncGenerator[Answering]:
        """A model at a server that gives every request this one answer."""
        async with AsyncExitStack() as stack:

            async def answering(answer: str) -> Model:
                async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                    head = await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(int(re.findall(rb"content-length: (\d+)", head.lower())[0]))
                    writer.write(answer.replace("\n", "\r\n", answer.partition("\n\n")[0].count("\n") + 2).encode())
                    await writer.drain()
                    writer.close()

                server = await stack.enter_async_context(await asyncio.start_server(serve, "127.0.0.1", 0))
                host, port_number = server.sockets[0].getsockname()
                return open_model(OPENAI_BASE_URL=f"http://{host}:{port_number}/v1", provider="openai")

            yield answering

    async def test_wait_may_be_told_as_a_date(self, answering: Answering) -> None:
        asked = datetime.now(UTC)
        date = (asked + timedelta(minutes=30)).replace(microsecond=0)
        told = await self.wait_until(date, answering)
        assert date - datetime.now(UTC) <= told <= date - asked

    @pytest.mark.parametrize(
        ("date", "wait_s"),
        [
            (datetime(2026, 1, 1, tzinfo=UTC), 0),
            (datetime(9999, 12, 31, tzinfo=UTC), 86_400),  # no workflow waits for that
        ],
    )
    async def test_date_that_is_past_or_far_away_is_bounded(
        self, answering: Answering, date: datetime, wait_s: int
    ) -> None:
        assert await self.wait_until(date, answering) == timedelta(seconds=wait_s)

    async def wait_until(self, date: datetime, answering: Answering) -> timedelta:
        """What the attempt waits for when this date is told."""
        model = await answering(TOO_MANY.format(format_datetime(date, usegmt=True)))
        return (await failure(write(model), RateLimited)).retry_after

    @pytest.mark.parametrize(("told", "wait_s"), [("soon", 0), ("-5", 0), ("nan", 0), ("1e9", 86_400), ("inf", 86_400)])
    async def test_wait_that_makes_no_sense_is_bounded(self, answering: Answering, told: str, wait_s: int) -> None:
        failed = await failure(write(await answering(TOO_MANY.format(told))), RateLimited)
        assert failed.retry_after == timedelta(seconds=wait_s)

    @pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
    async def test_page_instead_of_an_answer_has_a_name(self, answering: Answering, call: Call) -> None:
        failed = await failure(call(await answering(PAGE)))
        assert isinstance(failed, ModelUnavailable | AnswerMalformed) and not failed.cost_known

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            ("server_error", ModelUnavailable),
            ("rate_limit_exceeded", RateLimited),
            ("slow_down", RateLimited),
            ("insufficient_quota", QuotaUsedUp),
            ("content_policy_violation", ContentRefused),
            ("invalid_prompt", RequestRefused),
        ],
    )
    @pytest.mark.parametrize("form", ["error", "response.failed"])
    async def test_failure_within_a_stream_has_its_name(
        self, answering: Answering, form: str, code: str, kind: type[WorkFailed]
    ) -> None:
        wrong = {"code": code, "message": PROMPT}
        response: dict[str, Any] = {"id": "resp_1", "model": "m", "status": "failed", "error": wrong, "output": []}
        event: dict[str, Any] = wrong if form == "error" else {"response": response}
        told = json.dumps({"type": form, "sequence_number": 0} | event)
        await failure(write(await answering(f"{STREAM}event: {form}\ndata: {told}\n\n")), kind)

    @pytest.mark.parametrize(("tier", "factor"), [("default", 1), ("priority", 2), ("flex", 0.5), ("ultrafast", None)])
    async def test_tier_that_served_a_call_has_its_own_price(
        self, answering: Answering, tier: str, factor: float | None
    ) -> None:
        cost = (await write(await answering(completed(service_tier=tier)))).usage.cost_usd
        assert cost == (None if factor is None else pytest.approx(0.00006 * factor))

    async def test_what_is_written_to_the_cache_has_its_own_price(self, answering: Answering) -> None:
        usage = {**COUNTED, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 100}}
        assert (await write(await answering(completed(usage=usage)))).usage.cost_usd == pytest.approx(0.0000625)

    async def test_answer_that_counts_no_tokens_has_no_cost(self, answering: Answering) -> None:
        usage = (await write(await answering(completed(usage=None)))).usage
        assert (usage.input_tokens, usage.cost_usd) == (0, None)

    async def test_page_that_is_opened_is_no_search(self, answering: Answering) -> None:
        actions = ({"type": "search", "query": "tea"}, {"type": "open_page", "url": "https://a.org"}, None)
        calls = [{"id": "ws", "type": "web_search_call", "status": "completed", "action": one} for one in actions]
        usage = (await search(await answering(completed(output=[*calls, MESSAGE])))).usage
        assert (usage.searches, usage.cost_usd) == (2, pytest.approx(0.02006))


COUNTED: dict[str, Any] = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 100,
    "output_tokens_details": {"reasoning_tokens": 90},
    "total_tokens": 200,
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Tea.", "annotations": []}],
}


def completed(**changes: Any) -> str:
    """A stream that ends with this response, 100 tokens in and 100 out."""
    response: dict[str, Any] = {
        "id": "resp_1",
        "model": "gpt-6-luna-2026-09-22",
        "status": "completed",
        "output": [MESSAGE],
        "usage": COUNTED,
        **changes,
    }
    event = "response.completed"
    told = json.dumps({"type": event, "sequence_number": 0, "response": response})
    return f"{STREAM}event: {event}\ndata: {told}\n\n"


TOO_MANY = "HTTP/1.1 429 Too Many Requests\nRetry-After: {}\nConnection: close\nContent-Length: 2\n\n{{}}"
PAGE = "HTTP/1.1 200 OK\nContent-Type: text/html\nConnection: close\n\n<h1>Sign in to the canary's network</h1>"
STREAM = "HTTP/1.1 200 OK\nContent-Type: text/event-stream\nConnection: close\n\n"


def test_several_calls_add_up_to_one_usage() -> None:
    first = Usage(provider="p", model="m", input_tokens=1, output_tokens=2, request_ids=("a",), prompt_hash="h")
    second = Usage(provider="q", model="n", input_tokens=10, searches=1, calls=2, request_ids=("b", "c"))
    summed = total(first, second)
    assert (summed.provider, summed.model, summed.prompt_hash) == ("p", "m", "h")
    assert (summed.input_tokens, summed.output_tokens, summed.searches, summed.calls) == (11, 2, 1, 3)
    assert summed.request_ids == ("a", "b", "c")


@pytest.mark.parametrize(
    ("costs", "together"), [((0.1, 0.2), 0.3), ((0.1, None), None), ((None, 0.2), None), ((0.0, 0.0), 0.0)]
)
def test_cost_of_several_calls_is_known_where_each_one_is(
    costs: tuple[float | None, ...], together: float | None
) -> None:
    assert total(*(Usage(provider="p", model="m", cost_usd=cost) for cost in costs)).cost_usd == together


def test_failure_tells_the_cost_of_the_calls_before_it() -> None:
    first, last = (Usage(provider="p", model="m", cost_usd=cost) for cost in (0.1, 0.2))
    with pytest.raises(AnswerMalformed) as raised, having_used(first):
        raise AnswerMalformed(usage=last)
    assert raised.value.usage and raised.value.usage.cost_usd == 0.3
