"""The stand-in model, running for real and driven with OpenAI's own client."""

import asyncio
import base64
import io
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_output_text import AnnotationURLCitation
from PIL import Image

from local.standin.control import StandIn

ROOT = Path(__file__).resolve().parents[2]
BLOG = "You are an author. Write a blog post about the topic."
SOURCES = '<sources>\n<source number="2" url="http://a" title="Bees">text</source>\n</sources>'
ODD_TOPICS = [
    "{word} {} %s {0!r}",
    "<script>alert('x')</script> \"quoted\" & [7] [1]",
    "first line\nsecond line\r\nTopic: third",
    "量子コンピュータの未来",
    "हिन्दी साहित्य 🐝👩‍🚀",
    "x" * 2_000,
    "a very long topic " * 110,
    "?!",
    "",
]


@pytest.fixture
async def model(standin_url: str, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncOpenAI]:
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        monkeypatch.delenv(name)
    async with AsyncOpenAI(base_url=f"{standin_url}/v1", api_key="sample", max_retries=0, timeout=20) as client:
        yield client


async def write(
    model: AsyncOpenAI, instructions: str = BLOG, topic: str = "urban beekeeping", more: str = ""
) -> Response:
    return await model.responses.create(
        model="gpt-6-luna", instructions=instructions, input=f"Topic: {topic}\nAudience: everybody\n{more}"
    )


async def stream(model: AsyncOpenAI, instructions: str = BLOG) -> AsyncIterator[ResponseStreamEvent]:
    events = await model.responses.create(
        model="gpt-6-luna", instructions=instructions, input="Topic: urban beekeeping", stream=True
    )
    async for event in events:
        yield event


async def research(
    model: AsyncOpenAI, topic: str = "urban beekeeping"
) -> tuple[str, list[AnnotationURLCitation], set[str]]:
    """The notes, their citations, and the addresses that the search found."""
    response = await model.responses.create(
        model="gpt-6-luna",
        input=f"Topic: {topic}",
        tools=[{"type": "web_search"}],
        include=["web_search_call.action.sources"],
    )
    call, message = response.output
    assert call.type == "web_search_call" and call.action.type == "search"
    assert message.type == "message" and message.content[0].type == "output_text"
    citations = [a for a in message.content[0].annotations if a.type == "url_citation"]
    return response.output_text, citations, {source.url for source in call.action.sources or ()}


async def draw(model: AsyncOpenAI, topic: str = "urban beekeeping", size: Any = "1024x1024") -> Image.Image:
    reply = await model.images.generate(model="gpt-image-2.6-flare", prompt=f"Topic: {topic}\nA picture.", size=size)
    assert reply.data and reply.data[0].b64_json and reply.usage
    return Image.open(io.BytesIO(base64.b64decode(reply.data[0].b64_json)))


async def outcomes(standin: StandIn) -> list[str | None]:
    """Of all calls, once each of them has ended."""
    async with asyncio.timeout(10):
        calls = await standin.calls_until(lambda calls: all(call.ended_at for call in calls))
    return [call.outcome for call in calls]


class TestWriting:
    async def test_blog_is_labelled_and_names_its_topic(self, model: AsyncOpenAI) -> None:
        title, notice, *rest = (await write(model)).output_text.split("\n\n")
        assert title.startswith("# ") and "Urban Beekeeping" in title
        assert notice.startswith("*") and "sample" in notice and "stand-in model" in notice
        assert 4 <= sum(part.startswith("## ") for part in rest) <= 6

    async def test_two_topics_never_read_the_same(self, model: AsyncOpenAI) -> None:
        texts = [(await write(model, topic=topic)).output_text for topic in ("tea", "night trains")]
        one, other = [{part for part in text.split("\n\n") if part[0] not in "*#"} for text in texts]
        assert one.isdisjoint(other)

    async def test_blog_cites_only_numbers_it_was_given(self, model: AsyncOpenAI) -> None:
        with_sources = await write(model, topic="bees [7]", more=SOURCES)
        without = await write(model, topic="bees [7]")
        assert re.findall(r"\[(\d+)\]", with_sources.output_text) == ["2"]
        assert "[" not in without.output_text

    @pytest.mark.parametrize(
        ("platform", "shortest", "longest"),
        [
            *(("LinkedIn", 3, 6), ("X", 1, 1), ("Instagram", 2, 5), ("Facebook", 2, 5)),
            *(("Threads", 2, 2), ("Bluesky", 1, 1), ("Mastodon", 3, 3)),
        ],
    )
    async def test_every_post_fits_its_platform(
        self, model: AsyncOpenAI, platform: str, shortest: int, longest: int
    ) -> None:
        for topic in ["urban beekeeping", "#a #b #c #d #e", *ODD_TOPICS]:
            post = (
                await write(model, f"Write one post for {platform}.\nBe kind.", topic, "Language: German")
            ).output_text
            assert shortest <= len(post.split("\n\n")) <= longest
            assert "sample" in post.lower() and "German" in post
            assert platform not in ("X", "Bluesky") or len(post) < 240
            assert platform not in ("Threads", "Mastodon") or len(post) < 480
            assert len(re.findall(r"#\w", post)) <= 4

    async def test_every_text_says_how_it_was_asked_to_be(self, model: AsyncOpenAI) -> None:
        brief = "Tone: playful\nLanguage: German"
        for work in (BLOG, "Write one post for LinkedIn.", "Write one post for X.", "Describe one picture."):
            text = (await write(model, work, more=brief)).output_text
            assert "tone: playful; audience: everybody; language: German" in text

    async def test_what_stands_in_the_material_is_no_brief(self, model: AsyncOpenAI) -> None:
        text = (
            await write(model, "Write one post for LinkedIn.", more="<blog-post>\nTone: rude\n</blog-post>")
        ).output_text
        assert "rude" not in text

    @pytest.mark.parametrize("words", [200, 400, 800, 1_600, 5_000])
    async def test_blog_is_about_as_long_as_asked(self, model: AsyncOpenAI, words: int) -> None:
        post = (await write(model, more=f"Length: about {words:,} words\n{SOURCES}")).output_text
        assert abs(len(post.split()) - words) <= 30
        assert re.findall(r"\[(\d+)\]", post) == ["2"]
        assert f"length: about {words:,} words" in post

    async def test_shortest_blog_leaves_the_sections_out(self, model: AsyncOpenAI) -> None:
        assert len((await write(model, more="Length: about 50 words")).output_text.split()) < 80

    async def test_length_without_a_number_changes_nothing(self, model: AsyncOpenAI) -> None:
        plain, asked = [(await write(model, more=more)).output_text for more in ("", "Length: as it comes")]
        assert asked.replace("; length: as it comes", "") == plain

    async def test_scene_describes_one_picture_in_words(self, model: AsyncOpenAI) -> None:
        assert "Urban beekeeping" in (await write(model, "Describe one picture.")).output_text

    @pytest.mark.parametrize("topic", ODD_TOPICS, ids=range(len(ODD_TOPICS)))
    async def test_no_topic_breaks_any_job(self, model: AsyncOpenAI, standin: StandIn, topic: str) -> None:
        post = (await write(model, topic=topic)).output_text
        assert len(post.split("\n")[0]) < 120
        assert "[" not in post
        _, citations, _ = await research(model, topic)
        async with httpx2.AsyncClient(trust_env=False) as browser:
            for citation in citations:
                assert (await browser.get(citation.url)).status_code == 200
        await draw(model, topic, size="64x64")
        first_line = topic.partition("\n")[0].strip()
        assert {call.topic for call in await standin.calls()} == {first_line}

    async def test_usage_and_request_id_come_along(self, model: AsyncOpenAI) -> None:
        response = await write(model)
        assert response.usage and response.usage.input_tokens > 0 and response.usage.output_tokens > 100
        assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
        assert response._request_id and response._request_id.startswith("req_")  # pyright: ignore[reportPrivateUsage]
        assert response.id.startswith("resp_") and response.model == "gpt-6-luna"


class TestStreaming:
    async def test_stream_tells_the_finished_text_piecewise(self, model: AsyncOpenAI) -> None:
        events = [event async for event in stream(model)]
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert events[-1].type == "response.completed" and events[-1].response.usage
        assert "".join(deltas) == events[-1].response.output_text
        assert len(deltas) > 50

    async def test_stream_helper_sees_search_and_citations(self, model: AsyncOpenAI) -> None:
        seen: list[str] = []
        async with model.responses.stream(
            model="gpt-6-luna", input="Topic: bees", tools=[{"type": "web_search"}]
        ) as events:
            async for event in events:
                seen.append(event.type)
            final = await events.get_final_response()
        for step in ("in_progress", "searching", "completed"):
            assert f"response.web_search_call.{step}" in seen
        assert 3 <= seen.count("response.output_text.annotation.added") <= 5
        assert final.output[1].type == "message" and final.output[1].content[0].type == "output_text"

    async def test_latency_is_spread_over_the_stream(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.latency(0.4)
        begun = time.monotonic()
        times = [time.monotonic() - begun async for _ in stream(model)]
        assert times[-1] >= 0.4 > 2 * times[0]


class TestResearch:
    async def test_every_citation_points_at_its_link(self, model: AsyncOpenAI) -> None:
        text, citations, found = await research(model)
        assert 3 <= len(citations) <= 5
        for cited in citations:
            assert text[cited.start_index : cited.end_index] == f"([{cited.title}]({cited.url}))"
        assert {cited.url for cited in citations} == found

    async def test_cited_pages_open_and_say_sample(self, model: AsyncOpenAI) -> None:
        text, citations, _ = await research(model)
        async with httpx2.AsyncClient(trust_env=False) as browser:
            for cited in citations:
                page = (await browser.get(cited.url)).text
                assert "sample page made by Pressroom's stand-in model" in page and f"<h1>{cited.title}" in page
                sentence = text[: cited.start_index].rstrip().rpartition("\n\n")[2]
                assert sentence in page

    async def test_topics_lead_to_different_pages(self, model: AsyncOpenAI) -> None:
        assert (await research(model, "tea"))[2].isdisjoint((await research(model, "trains"))[2])

    async def test_search_may_find_nothing_at_all(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.rule(do={"no_results": True})
        text, citations, found = await research(model)
        assert (citations, found) == ([], set()) and "found no pages" in text

    async def test_sources_come_only_when_asked_for(self, model: AsyncOpenAI) -> None:
        response = await model.responses.create(model="m", input="Topic: tea", tools=[{"type": "web_search"}])
        call = response.output[0]
        assert call.type == "web_search_call" and call.action.type == "search" and call.action.sources is None


class TestPictures:
    async def test_picture_has_the_size_asked_for(self, model: AsyncOpenAI) -> None:
        assert ((await draw(model)).format, (await draw(model)).size) == ("PNG", (1024, 1024))
        assert (await draw(model, size="1536x1024")).size == (1536, 1024)

    async def test_prompt_decides_what_is_drawn(self, model: AsyncOpenAI) -> None:
        tea, again, trains = [(await draw(model, topic)).tobytes() for topic in ("tea", "tea", "trains")]
        assert tea == again != trains

    async def test_impossible_sizes_are_refused(self, model: AsyncOpenAI) -> None:
        for size in ("huge", "1x1", "9999x9999"):
            with pytest.raises(openai.BadRequestError):
                await draw(model, size=size)


class TestDoor:
    async def test_wrong_key_is_turned_away(self, model: AsyncOpenAI, standin: StandIn) -> None:
        stranger = model.with_options(api_key="wrong-key")
        for attempt in (write(stranger), draw(stranger), stranger.models.list()):
            with pytest.raises(openai.AuthenticationError) as refused:
                await attempt
            assert refused.value.code == "invalid_api_key"
        assert await outcomes(standin) == ["failed:401", "failed:401"]

    async def test_no_key_is_no_better(self, standin_url: str) -> None:
        async with httpx2.AsyncClient(trust_env=False) as browser:
            assert (await browser.get(f"{standin_url}/v1/models")).status_code == 401

    async def test_models_and_health_can_be_asked(self, model: AsyncOpenAI, standin_url: str) -> None:
        assert "gpt-6-luna" in [found.id async for found in model.models.list()]
        async with httpx2.AsyncClient(trust_env=False) as browser:
            assert (await browser.get(f"{standin_url}/health")).json() == {"status": "ok"}

    async def test_unknown_paths_fail_as_at_openai(self, model: AsyncOpenAI) -> None:
        with pytest.raises(openai.NotFoundError) as refused:
            await model.chat.completions.create(model="m", messages=[])
        assert refused.value.code == "unknown_url"

    async def test_broken_request_is_refused_and_counted(self, standin_url: str, standin: StandIn) -> None:
        async with httpx2.AsyncClient(trust_env=False, headers={"authorization": "Bearer k"}) as browser:
            reply = await browser.post(f"{standin_url}/v1/responses", content=b'{"model": "m", "input": "\\ud800"')
        assert reply.status_code == 400 and set(reply.json()["error"]) == {"message", "type", "param", "code"}
        assert await outcomes(standin) == ["failed:400"]


STATUSES = [
    (400, None, openai.BadRequestError),
    (401, None, openai.AuthenticationError),
    (403, None, openai.PermissionDeniedError),
    (404, None, openai.NotFoundError),
    (408, None, openai.APIStatusError),
    (409, None, openai.ConflictError),
    (422, None, openai.UnprocessableEntityError),
    (429, "rate_limit_exceeded", openai.RateLimitError),
    (429, "slow_down", openai.RateLimitError),
    (429, "insufficient_quota", openai.RateLimitError),
    (500, None, openai.InternalServerError),
    (503, None, openai.InternalServerError),
]


class TestFaults:
    @pytest.mark.parametrize(("status", "code", "expected"), STATUSES)
    async def test_status_becomes_the_clients_own_error(
        self, model: AsyncOpenAI, standin: StandIn, status: int, code: str | None, expected: type[openai.APIStatusError]
    ) -> None:
        await standin.rule(do={"status": status, "code": code})
        for attempt in (write(model), anext(stream(model)), draw(model)):
            with pytest.raises(expected) as failed:
                await attempt
            assert failed.value.status_code == status and code in (None, failed.value.code)
            assert failed.value.request_id
        assert await outcomes(standin) == [f"failed:{status}"] * 3

    async def test_retry_after_is_told_when_planned(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.rule(do={"status": 429, "code": "slow_down", "retry_after": 2}, times=1)
        await standin.rule(do={"status": 429}, times=1)
        told: list[str | None] = []
        for _ in range(2):
            with pytest.raises(openai.RateLimitError) as failed:
                await write(model)
            told.append(failed.value.response.headers.get("retry-after"))
        assert told == ["2", None]

    async def test_hung_call_answers_nothing_at_all(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.rule(do={"hang": True})
        for attempt in (write, draw):
            with pytest.raises(openai.APITimeoutError):
                await attempt(model.with_options(timeout=0.5))
        assert await outcomes(standin) == ["hung", "hung"]

    @pytest.mark.parametrize("fault", ["cut", "reset"])
    async def test_broken_line_is_a_connection_error(self, model: AsyncOpenAI, standin: StandIn, fault: str) -> None:
        await standin.rule(do={fault: True})
        seen: list[str] = []
        with pytest.raises(openai.APIConnectionError):
            async for event in stream(model):
                seen.append(event.type)
        for attempt in (write(model), draw(model)):
            with pytest.raises(openai.APIConnectionError):
                await attempt
        assert ("response.output_text.delta" in seen) == (fault == "cut")
        assert await outcomes(standin) == [fault] * 3

    async def test_malformed_success_is_no_readable_json(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.rule(do={"malformed": True})
        with pytest.raises(json.JSONDecodeError):
            [event async for event in stream(model)]
        for attempt in (write(model), draw(model)):
            with pytest.raises(json.JSONDecodeError):
                await attempt
        assert await outcomes(standin) == ["malformed"] * 3

    async def test_empty_success_carries_nothing_to_keep(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.rule(do={"empty": True})
        assert (await write(model)).output_text == ""
        assert [event.type async for event in stream(model)][-1] == "response.completed"
        assert (await model.images.generate(model="m", prompt="Topic: tea")).data == []

    async def test_refusal_has_a_part_of_its_own(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.rule(do={"refuse": True})
        message = (await write(model)).output[0]
        assert message.type == "message" and message.content[0].type == "refusal"
        assert "response.refusal.done" in [event.type async for event in stream(model)]
        with pytest.raises(openai.BadRequestError) as blocked:
            await draw(model)
        assert blocked.value.code == "moderation_blocked"

    async def test_content_filter_leaves_an_incomplete_response(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.rule(do={"content_filter": True})
        response = await write(model)
        assert response.status == "incomplete" and response.incomplete_details
        assert response.incomplete_details.reason == "content_filter"
        assert [event.type async for event in stream(model)][-1] == "response.incomplete"

    async def test_planned_texts_come_one_after_another(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.rule(do={"texts": ["one", "two"]}, times=3)
        first, second, third, usual = [(await write(model)).output_text for _ in range(4)]
        assert (first, second, third, usual[:2]) == ("one", "two", "two", "# ")

    async def test_huge_answers_arrive_in_full(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.rule(do={"huge_mb": 2})
        assert len((await write(model)).output_text) > 2_000_000
        assert len([event async for event in stream(model)]) < 500
        assert (await draw(model)).size == (1024, 1024)

    async def test_picture_can_be_any_given_bytes(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.rule(do={"image_base64": "bm8gcGljdHVyZQ=="})
        reply = await model.images.generate(model="m", prompt="Topic: tea")
        assert reply.data and reply.data[0].b64_json == "bm8gcGljdHVyZQ=="

    async def test_delayed_call_is_answered_as_usual(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.rule(do={"delay_s": 0.3})
        begun = time.monotonic()
        assert (await write(model)).status == "completed"
        assert time.monotonic() - begun >= 0.3


class TestRules:
    async def test_rule_skips_then_applies_then_ends(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.rule(do={"text": "planned"}, skip=1, times=2)
        assert [(await write(model)).output_text == "planned" for _ in range(4)] == [False, True, True, False]

    async def test_rule_meets_only_what_it_names(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.rule(
            when={"kind": "social", "platform": "linkedin", "topic_contains": "BEE"}, do={"text": "planned"}
        )
        answers = [
            await write(model, "Write one post for LinkedIn."),
            await write(model, "Write one post for LinkedIn.", topic="tea"),
            await write(model, "Write one post for X."),
            await write(model),
        ]
        assert [answer.output_text == "planned" for answer in answers] == [True, False, False, False]

    async def test_first_matching_rule_wins_over_later(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.rule(do={"text": "first"}, times=1)
        await standin.rule(do={"text": "second"})
        assert [(await write(model)).output_text for _ in range(2)] == ["first", "second"]

    async def test_rules_can_be_put_and_read(self, standin_url: str, standin: StandIn) -> None:
        await standin.rule(do={"hang": True})
        async with httpx2.AsyncClient(base_url=standin_url, trust_env=False) as browser:
            await browser.put("/_standin/rules", json=[{"do": {"status": 500}, "times": 2}])
            (rule,) = rules = (await browser.get("/_standin/rules")).json()
            assert (await browser.put("/_standin/rules", json=rules)).json() == rules
            contradiction = await browser.post("/_standin/rules", json={"do": {"cut": True, "hang": True}})
        assert (rule["do"]["status"], rule["times"], contradiction.status_code) == (500, 2, 422)


class TestCalls:
    async def test_every_call_is_listed_as_it_was(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await write(model, "Write one post for LinkedIn.")
        await draw(model, "tea", size="64x64")
        await research(model)
        calls = await standin.calls()
        assert [(call.number, call.kind, call.platform, call.topic, call.model, call.outcome) for call in calls] == [
            (1, "social", "LinkedIn", "urban beekeeping", "gpt-6-luna", "answered"),
            (2, "image", None, "tea", "gpt-image-2.6-flare", "answered"),
            (3, "research", None, "urban beekeeping", "gpt-6-luna", "answered"),
        ]
        assert all(call.started_at <= (call.ended_at or 0) for call in calls)
        await standin.reset()
        assert await standin.calls() == []

    async def test_call_is_known_by_the_name_that_its_client_gave_it(
        self, model: AsyncOpenAI, standin: StandIn
    ) -> None:
        await model.responses.create(model="m", input="Topic: tea", extra_headers={"X-Client-Request-Id": "mine"})
        await write(model)
        assert [call.client_request_id for call in await standin.calls()] == ["mine", None]

    async def test_calls_that_ask_the_very_same_can_be_told(self, model: AsyncOpenAI, standin: StandIn) -> None:
        for topic in ("tea", "tea", "coffee"):
            await write(model, topic=topic)
        one, again, another = [call.question for call in await standin.calls()]
        assert one == again != another

    async def test_answer_is_spoilt_where_a_rule_changes_it_and_not_where_it_is_late(
        self, model: AsyncOpenAI, standin: StandIn
    ) -> None:
        for do in ({"delay_s": 0.01}, {"empty": True}):
            await standin.rule(do=do, times=1)
            await write(model)
        assert [call.is_spoilt for call in await standin.calls()] == [False, True]

    async def test_client_that_leaves_early_is_noted(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.latency(30)
        events = await model.responses.create(model="m", instructions=BLOG, input="Topic: tea", stream=True)
        await anext(events)
        await events.close()
        assert await outcomes(standin) == ["client-gone"]

    async def test_many_calls_are_served_at_once(self, model: AsyncOpenAI, standin: StandIn) -> None:
        await standin.latency(1)
        begun = time.monotonic()
        await asyncio.gather(*(write(model, topic=f"topic {number}") for number in range(40)))
        assert time.monotonic() - begun < 10  # one after another: 40
        assert len(await standin.calls()) == 40


async def test_process_stops_at_once_despite_hung_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "local.standin", "--port", str(port), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30), StandIn(f"http://127.0.0.1:{port}") as standin:
        await until_it_listens(port)
        await standin.rule(do={"hang": True})
        async with AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="sample", max_retries=0) as model:
            hung = asyncio.gather(*(write(model) for _ in range(3)), return_exceptions=True)
            await standin.calls_until(lambda calls: [call.outcome for call in calls] == ["hung"] * 3)
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            _, complaints = await process.communicate()
            assert time.monotonic() - begun < 1
            assert complaints == b""
            assert {type(failure) for failure in await hung} == {openai.APIConnectionError}


async def until_it_listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            continue
        writer.close()
        return await writer.wait_closed()
