"""When the log is away, the gateway says so at once; when it is back, all goes on as if nothing had been."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from chassis.event_store import History, LogFull, OutcomeUnknown, StoreUnavailable
from contracts.works import Work
from services.gateway import desk
from tests.services.gateway.nats_server import NatsServer, nats_server
from tests.services.gateway.newsroom import COMPLETED, Newsroom, claimed, newsroom
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE_S = 3.0


@dataclass(frozen=True)
class Outage:
    """A gateway whose log comes and goes."""

    room: Newsroom
    nats: NatsServer

    async def begin(self) -> None:
        await self.nats.kill()
        await until(self._is_unready, "the gateway has noticed")

    async def end(self) -> None:
        await self.nats.start()
        await until(self._is_ready, "the gateway is back")

    async def _is_unready(self) -> bool:
        return (await self.room.http.get("/health/ready")).status_code == 503

    async def _is_ready(self) -> bool:
        return (await self.room.http.get("/health/ready")).status_code == 200


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def outage() -> AsyncGenerator[Outage]:
    async with nats_server() as nats, newsroom(nats.plant) as room:
        yield Outage(room, nats)


@pytest_asyncio.fixture(loop_scope="module")
async def dark_room(outage: Outage) -> AsyncGenerator[Newsroom]:
    """A gateway without its log, for the length of one test."""
    await outage.begin()
    yield outage.room
    await outage.end()


class TestWithoutTheLog:
    @pytest.mark.parametrize("request_id", [None, "down"])
    async def test_request_is_answered_503_at_once(self, dark_room: Newsroom, request_id: str | None) -> None:
        async with asyncio.timeout(AT_ONCE_S):
            answer = await dark_room.post({"topic": "bees", "client_request_id": request_id})
        assert (answer.status_code, answer.json()["code"]) == (503, "log-unavailable")
        assert answer.headers["retry-after"] == "2"
        assert answer.headers["content-type"] == "application/problem+json"

    async def test_events_are_answered_503_at_once(self, dark_room: Newsroom) -> None:
        async with asyncio.timeout(AT_ONCE_S):
            answer = await dark_room.http.get("/workflows/w1/events")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")

    async def test_websocket_is_told_to_try_again(self, dark_room: Newsroom) -> None:
        async with asyncio.timeout(AT_ONCE_S), dark_room.socket() as client:
            await client.say({"topic": "bees"})
            (answer,) = await client.hear_all()
            assert (answer["type"], answer["error"]["code"]) == ("error", "log-unavailable")
            assert answer["error"]["retryable"]
            assert await client.closed() == 1013

    async def test_gateway_lives_but_is_not_ready(self, dark_room: Newsroom) -> None:
        ready = await dark_room.http.get("/health/ready")
        assert ready.json() == {"status": "unavailable", "parts": {"nats": "there is no connection to NATS"}}
        assert (await dark_room.http.get("/health/live")).status_code == 200

    async def test_bad_requests_are_still_told_apart(self, dark_room: Newsroom) -> None:
        assert (await dark_room.post({"topic": ""})).status_code == 422


class TestWhenItIsBack:
    async def test_requests_are_taken_in_again(self, outage: Outage) -> None:
        await outage.begin()
        refused = await outage.room.post({"topic": "bees", "client_request_id": "back"})
        await outage.end()
        accepted = await outage.room.post({"topic": "bees", "client_request_id": "back"})
        assert (refused.status_code, accepted.status_code) == (503, 202)

    async def test_client_who_watches_misses_nothing(self, outage: Outage) -> None:
        async with outage.room.socket() as client:
            await client.say({"topic": "bees", "client_request_id": "watched"})
            await client.hear()
            key = await outage.room.requested(client_request_id="watched")
            await outage.begin()
            await outage.end()
            await outage.room.record(key, claimed(Work.BLOG), COMPLETED)
            assert [frame["payload"] for frame in await client.hear_all()] == ["Writing blog post", key.workflow_id]


class TestWithTheLogThere:
    async def test_gateway_is_ready(self, room: Newsroom) -> None:
        answer = await room.http.get("/health/ready")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "parts": {"nats": "ok"}})


class TestTroubleWithAnAppend:
    async def test_unknown_outcome_is_looked_up_not_repeated(
        self, room: Newsroom, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = await room.store("gateway")
        append, length = store.append, await room.log_length()

        async def lose_the_answer(history: History, *given: object, **more: object) -> None:
            await append(history, *given, **more)  # pyright: ignore[reportArgumentType]
            raise OutcomeUnknown

        monkeypatch.setattr(store, "append", lose_the_answer)
        assert (await room.post({"topic": "bees"})).status_code == 202
        assert await room.log_length() == length + 1

    async def test_fate_that_stays_unknown_is_503_with_a_name(
        self, room: Newsroom, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, asked_for = await room.store("gateway"), list[str]()

        async def lose_the_answer(history: History, *_: object, **__: object) -> None:
            asked_for.append(history.key.workflow_id)
            raise OutcomeUnknown

        async def stay_away(*_: object, **__: object) -> None:
            raise StoreUnavailable

        monkeypatch.setattr(desk, "PATIENCE_S", 0.3)
        monkeypatch.setattr(store, "append", lose_the_answer)
        monkeypatch.setattr(store, "read", stay_away)
        answer = await room.post({"topic": "bees"})
        assert (answer.status_code, answer.json()["code"]) == (503, "fate-unknown")
        assert len(asked_for) == 1 and asked_for[0] in answer.json()["detail"]

    async def test_full_log_is_507_and_1013(self, room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
        async def refuse(*_: object, **__: object) -> None:
            raise LogFull("full")

        monkeypatch.setattr(await room.store("gateway"), "append", refuse)
        assert (await room.post({"topic": "bees"})).status_code == 507
        async with room.socket() as client:
            await client.say({"topic": "bees"})
            assert (await client.hear())["error"]["code"] == "log-full"
            assert await client.closed() == 1013


async def test_absent_object_store_is_503(outage: Outage) -> None:
    answer = await outage.room.http.get(f"/images/{'0' * 64}")
    assert (answer.status_code, answer.json()["code"]) == (503, "object-store-unavailable")
    assert answer.headers["retry-after"] == "2"
