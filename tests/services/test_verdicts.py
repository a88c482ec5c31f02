"""What follows from each way in which a provider or the object store can fail, stage by stage: one table for each."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chassis import object_store
from chassis.model import Model
from chassis.object_store import S3Store
from chassis.settings import Settings
from contracts.events import AttemptFailed, WorkClaimed, WorkflowFailed
from contracts.platforms import Platform
from contracts.sentences import sentence_of
from local.standin.control import StandIn
from local.state import free_port
from services.illustrator.stage import Tools as IllustratorTools
from services.illustrator.stage import stage as illustrator
from services.research.scouts import OpenAIScout, TavilyScout
from services.research.stage import Tools as ResearchTools
from services.research.stage import stage as research
from services.writer.stage import Tools as WriterTools
from services.writer.stage import stage as writer
from tests.services.attempts import blogged, requested
from tests.services.served import served
from tests.services.workshop import Workshop


@dataclass(frozen=True)
class Verdict:
    """What the log tells of the failed attempt."""

    code: str
    is_tried_again: bool = True
    retryable: bool = True
    cost_known: bool = True
    wait_s: float = 0.0

    def check(self, workshop: Workshop[Any]) -> None:
        """Holds the last event against it: what is tried again says when, what is given up ends the run."""
        claim, failed = workshop.log.histories(workshop.key)[-1].recorded[-2:]
        assert isinstance(claim.event, WorkClaimed)
        event = failed.event
        assert isinstance(event, AttemptFailed | WorkflowFailed)
        told = (event.error.code, isinstance(event, AttemptFailed), event.error.retryable, event.cost_known)
        assert told == (self.code, self.is_tried_again, self.retryable, self.cost_known)
        assert event.error.message in sentence_of(event) and event.error.message.endswith((".", "?"))
        if isinstance(event, AttemptFailed):
            assert event.retry_at - failed.recorded_at > timedelta(seconds=max(self.wait_s, 0.5) - 0.1)
            assert event.cost_known or event.error.message.count("billed")


def unknown(code: str) -> Verdict:
    return Verdict(code, cost_known=False)


def given_up(code: str, *, retryable: bool = True) -> Verdict:
    return Verdict(code, is_tried_again=False, retryable=retryable)


ANY_CALL: list[tuple[dict[str, Any], Verdict]] = [
    ({"status": 429}, Verdict("rate-limited", wait_s=5)),
    ({"status": 429, "retry_after": 75}, Verdict("rate-limited", wait_s=75)),
    ({"status": 429, "code": "slow_down", "retry_after": 1}, Verdict("rate-limited", wait_s=5)),
    ({"status": 500}, Verdict("model-unavailable", wait_s=2)),
    ({"status": 503, "retry_after": 75}, Verdict("model-unavailable", wait_s=75)),
    ({"status": 408}, Verdict("model-unavailable", wait_s=2)),
    ({"status": 409, "retry_after": 9}, Verdict("model-unavailable", wait_s=9)),
    ({"hang": True}, unknown("deadline-passed")),
    ({"reset": True}, unknown("model-unavailable")),
    ({"cut": True}, unknown("model-unavailable")),
    ({"malformed": True}, unknown("answer-malformed")),
    ({"empty": True}, Verdict("answer-malformed")),
    ({"refuse": True}, given_up("content-refused", retryable=False)),
    ({"content_filter": True}, given_up("content-refused", retryable=False)),
    ({"status": 400, "code": "content_policy_violation"}, given_up("content-refused", retryable=False)),
    ({"status": 429, "code": "insufficient_quota"}, given_up("quota-used-up")),
    ({"status": 401}, given_up("key-refused")),
    ({"status": 403}, given_up("key-refused")),
    ({"status": 400}, given_up("request-refused")),
    ({"status": 404}, given_up("request-refused")),
    ({"status": 422}, given_up("request-refused")),
]
TEXT = [*ANY_CALL, ({"huge_mb": 10}, unknown("answer-malformed"))]
PICTURE = [
    *ANY_CALL,
    ({"image_base64": "R0lGODlhAQABAAAAACw="}, Verdict("answer-malformed")),
    ({"image_base64": "no base64!"}, Verdict("answer-malformed")),
]


def named(one: object) -> str | None:
    return ",".join(f"{name}={value}" for name, value in one.items()) if isinstance(one, dict) else ""  # pyright: ignore


async def calls_after(workshop: Workshop[Any], standin: StandIn, kind: str, do: dict[str, Any]) -> list[str]:
    """Has one attempt meet this fault. -> the calls that it made"""
    await standin.rule(when={"kind": kind}, do=do)

    async def hangs() -> bool:
        return any(call.outcome == "hung" for call in await standin.calls())

    await (workshop.deliver_until_the_deadline(hangs) if "hang" in do else workshop.deliver())
    return [call.kind for call in await standin.calls()]


@pytest.mark.parametrize(("do", "verdict"), TEXT, ids=named)
async def test_research_by_the_models_own_search(
    settings: Settings, standin: StandIn, do: dict[str, Any], verdict: Verdict
) -> None:
    stage = Workshop(
        research, lambda: ResearchTools(OpenAIScout(Model(settings))), requested(research=True), folder=None
    )
    assert await calls_after(stage, standin, "research", do) == ["research"]
    verdict.check(stage)


@pytest.mark.parametrize(("do", "verdict"), TEXT, ids=named)
async def test_writer_of_the_blog_post(
    settings: Settings, standin: StandIn, do: dict[str, Any], verdict: Verdict
) -> None:
    stage = Workshop(writer, lambda: WriterTools(Model(settings)), requested(), folder=None)
    assert await calls_after(stage, standin, "blog", do) == ["blog"]
    verdict.check(stage)


@pytest.mark.parametrize(("do", "verdict"), TEXT, ids=named)
async def test_writer_of_a_social_post(
    settings: Settings, standin: StandIn, do: dict[str, Any], verdict: Verdict
) -> None:
    asked = requested(platforms=(Platform.X,))
    stage = Workshop(writer, lambda: WriterTools(Model(settings)), asked, blogged(), folder=None)
    assert await calls_after(stage, standin, "social", do) == ["social"]
    verdict.check(stage)


class Gallery:
    """Takes every picture."""

    async def check(self) -> None: ...

    async def put(self, key: str, data: bytes, content_type: str) -> None: ...

    async def get(self, key: str) -> None: ...


@pytest.fixture
def small(settings: Settings) -> Settings:
    return settings.model_copy(update={"image_size": "64x64"})


@pytest.mark.parametrize(("do", "verdict"), PICTURE, ids=named)
async def test_illustrator_at_the_picture(
    small: Settings, standin: StandIn, do: dict[str, Any], verdict: Verdict
) -> None:
    stage = Workshop(
        illustrator, lambda: IllustratorTools(Model(small), Gallery()), requested(), blogged(), folder=None
    )
    assert await calls_after(stage, standin, "image", do) == ["scene", "image"]
    verdict.check(stage)
    assert stage.failed.usage and stage.failed.usage.calls >= 1  # the scene's


# ---------------------------------------------------------------- Tavily


class Silence(Response):
    """Never comes; ends when the client has gone."""

    async def __call__(self, *_: Any) -> None:
        await asyncio.get_running_loop().create_future()


def refusal(status: int, retry_after: str | None = None) -> Callable[[], Response]:
    headers = {"retry-after": retry_after} if retry_after else None
    return lambda: JSONResponse({"detail": {"error": "no"}}, status, headers)


def cut_short() -> Response:
    return Response(b'{"results": [', headers={"content-length": "9000"}, media_type="application/json")


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (refusal(429), Verdict("rate-limited", wait_s=30)),
        (refusal(429, "75"), Verdict("rate-limited", wait_s=75)),
        (refusal(500), Verdict("model-unavailable", wait_s=2)),
        (refusal(503, "75"), Verdict("model-unavailable", wait_s=75)),
        (refusal(408), Verdict("model-unavailable", wait_s=2)),
        (Silence, unknown("deadline-passed")),
        (cut_short, unknown("model-unavailable")),
        (lambda: Response("<html>"), unknown("answer-malformed")),
        (lambda: Response(b" " * 10_000_000), unknown("answer-malformed")),
        (refusal(401), given_up("tavily-key-refused")),
        (refusal(403), given_up("tavily-key-refused")),
        (refusal(432), given_up("quota-used-up")),
        (refusal(433), given_up("quota-used-up")),
        (refusal(400), given_up("request-refused")),
        (refusal(404), given_up("request-refused")),
        (refusal(422), given_up("request-refused")),
    ],
)
async def test_research_by_tavily(reply: Callable[[], Response], verdict: Verdict) -> None:
    asked = list[str]()

    async def search(request: Request) -> Response:
        asked.append(request.url.path)
        return reply()

    async with served(Starlette(routes=[Route("/search", search, methods=["POST"])])) as place:
        scout = TavilyScout("tvly-sample", f"http://{place}")
        stage = Workshop(research, lambda: ResearchTools(scout), requested(research=True), folder=None)

        async def hangs() -> bool:
            return bool(asked)

        try:
            await (stage.deliver_until_the_deadline(hangs) if reply is Silence else stage.deliver())
        finally:
            await scout._client.close()  # pyright: ignore[reportPrivateUsage]
    assert asked == ["/search"]
    verdict.check(stage)


# ---------------------------------------------------------------- the object store


def no_failure(request: Request) -> Response | None:
    """All is well."""


class Bucket:
    """An S3 server, as far as the store asks: it keeps what it is given, or fails in one way."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.place = ""
        self.fails: Callable[[Request], Response | None] = no_failure

    async def serve(self, request: Request) -> Response:
        key = request.url.path
        if failure := self.fails(request):
            return failure
        if request.method == "PUT":
            self.kept[key] = await request.body()
            return Response(headers={"etag": '"x"'})
        if key in self.kept:
            return Response(self.kept[key], media_type="image/png")
        return said(404, "NoSuchKey")


def said(status: int, code: str) -> Response:
    return Response(f"<Error><Code>{code}</Code><Message>no</Message></Error>", status, media_type="application/xml")


def at_put(failure: Callable[[], Response]) -> Callable[[Request], Response | None]:
    return lambda request: failure() if request.method == "PUT" else None


def wrong_bytes(request: Request) -> Response | None:
    is_picture = request.method == "GET" and "/images/" in request.url.path
    return Response(b"other bytes", media_type="image/png") if is_picture else None


UNAVAILABLE = Verdict("object-store-unavailable", wait_s=10)


@pytest.fixture
async def bucket(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Bucket]:
    """Served for real, to a store that is as impatient as a test may wish."""
    monkeypatch.setattr(object_store, "PAUSES_S", ())
    monkeypatch.setattr(object_store, "READ_TIMEOUT_S", 3.0)
    bucket = Bucket()
    async with served(Starlette(routes=[Route("/{key:path}", bucket.serve, methods=["GET", "PUT"])])) as bucket.place:
        yield bucket


def store_at(place: str) -> "closing[S3Store]":
    return closing(S3Store(Settings.model_validate({"s3_endpoint": place, "s3_access_key": "a", "s3_secret_key": "b"})))


@pytest.fixture
def easel(small: Settings, bucket: Bucket, tmp_path: Path) -> Generator[Workshop[IllustratorTools]]:
    """The illustrator with that bucket, and a folder for answers."""
    with store_at(bucket.place) as store:
        tools = IllustratorTools(Model(small), store)
        yield Workshop(illustrator, lambda: tools, requested(), blogged(), folder=tmp_path)


@pytest.mark.parametrize(
    ("fails", "verdict"),
    [
        pytest.param(at_put(lambda: said(500, "InternalError")), UNAVAILABLE, id="500"),
        pytest.param(at_put(lambda: said(503, "SlowDown")), UNAVAILABLE, id="503"),
        pytest.param(at_put(Silence), UNAVAILABLE, id="slow"),
        pytest.param(at_put(cut_short), UNAVAILABLE, id="cut"),
        pytest.param(wrong_bytes, UNAVAILABLE, id="wrong bytes"),
        pytest.param(at_put(lambda: said(403, "AccessDenied")), given_up("object-store-refused"), id="refused"),
    ],
)
async def test_illustrator_at_the_object_store(
    easel: Workshop[IllustratorTools],
    standin: StandIn,
    bucket: Bucket,
    fails: Callable[[Request], Response | None],
    verdict: Verdict,
) -> None:
    """And once the store is mended, the picture that was paid for is stored."""
    bucket.fails = fails
    await easel.deliver()
    verdict.check(easel)
    bucket.fails = no_failure
    if not verdict.is_tried_again:
        easel.resume()
    await easel.deliver()
    assert easel.made and [call.kind for call in await standin.calls()] == ["scene", "image"]
    assert [usage.calls for usage in easel.told] == [2, 0]


async def test_illustrator_pays_nothing_while_the_object_store_is_down(small: Settings, standin: StandIn) -> None:
    with store_at(f"127.0.0.1:{free_port()}") as store:
        tools = IllustratorTools(Model(small), store)
        stage = Workshop(illustrator, lambda: tools, requested(), blogged(), folder=None)
        await stage.deliver()
    UNAVAILABLE.check(stage)
    assert await standin.calls() == []
