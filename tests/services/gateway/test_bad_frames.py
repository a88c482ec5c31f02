"""Bad first frames: one `error` frame that says what is wrong, the right close code, and nothing in the log."""

import json
from collections.abc import AsyncGenerator
from contextlib import suppress

import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed

from services.gateway import content
from tests.services.gateway.newsroom import Newsroom, Plant, newsroom

pytestmark = pytest.mark.asyncio(loop_scope="module")

KIB_64 = 64 * 1024


@pytest_asyncio.fixture(loop_scope="module")
async def quiet_room(room: Newsroom) -> AsyncGenerator[Newsroom]:
    """A gateway that has nothing to record while the test lasts."""
    length = await room.log_length()
    yield room
    assert await room.log_length() == length


def padded(length: int) -> str:
    """A request of so many bytes, good but for its length."""
    empty = json.dumps({"topic": "bees", "more": ""})
    return json.dumps({"topic": "bees", "more": "x" * (length - len(empty))})


class TestBadFrame:
    @pytest.mark.parametrize(
        ("frame", "words"),
        [
            ("", "not JSON"),
            ("bees", "not JSON"),
            ('{"topic": "bees"', "not JSON"),
            ("[" * 50_000, "not JSON"),
            ('{"a":' * 10_000, "not JSON"),
            ('["bees"]', "not a JSON object"),
            ('"bees"', "not a JSON object"),
            ("null", "not a JSON object"),
            ("1" * 5_000, "not JSON"),
            ("{}", "topic"),
            ('{"topic": ""}', "topic"),
            ('{"topic": " \\n\\t "}', "topic"),
            ('{"topic": null}', "topic"),
            ('{"topic": 7}', "topic"),
            ('{"topic": ["bees"]}', "topic"),
            ('{"topic": "bees\\u0000"}', "topic"),
            ('{"topic": "\\ud83d"}', "topic"),
            (json.dumps({"topic": "x" * 2_001}), "topic"),
            ('{"topic": "bees", "research": "false"}', "research"),
            ('{"topic": "bees", "research": 0}', "research"),
            ('{"topic": "bees", "research": null}', "research"),
            ('{"topic": "bees", "platforms": ["myspace"]}', "platforms"),
            ('{"topic": "bees", "platforms": "x"}', "platforms"),
            ('{"topic": "bees", "platforms": []}', "platforms"),
            ('{"topic": "bees", "platforms": ["x", "x"]}', "platforms"),
            ('{"topic": "bees", "brief": {"mood": "proud"}}', "brief: It has to be an object"),
            ('{"topic": "bees", "brief": {"tone": "dry\\nwry"}}', "brief.tone: It has to be one line"),
            ('{"topic": "bees", "brief": {"length": "huge"}}', "brief.length: It has to be short"),
            ('{"topic": "bees", "client_request_id": ""}', "client_request_id"),
            ('{"topic": "bees", "client_request_id": 7}', "client_request_id"),
            ('{"topic": "bees", "client_request_id": "\\ud83d"}', "client_request_id"),
            ('{"topic": "bees", "client_request_id": "a\\u0000"}', "client_request_id"),
            (b'{"topic": "bees"}', "text frame"),
        ],
        ids=lambda part: repr(part)[:40],
    )
    async def test_is_answered_by_one_sentence_and_4400(
        self, quiet_room: Newsroom, frame: str | bytes, words: str
    ) -> None:
        async with quiet_room.socket() as client:
            await client.say(frame)
            (answer,) = await client.hear_all()
            assert answer["type"] == "error" and words in answer["payload"]
            assert answer["error"] == {"code": "bad-frame", "message": answer["payload"], "retryable": False}
            assert await client.closed() == 4400

    async def test_never_repeats_what_was_sent(self, quiet_room: Newsroom) -> None:
        async with quiet_room.socket() as client:
            await client.say({"topic": "secret " * 400, "research": "secret"})
            assert "secret" not in (await client.hear())["payload"]

    async def test_topic_of_the_longest_length_is_good(self, room: Newsroom) -> None:
        async with room.socket() as client:
            await client.say({"topic": "蜂" * 2_000})
            assert (await client.hear())["type"] == "progress_event"

    async def test_unknown_fields_are_left_alone(self, room: Newsroom) -> None:
        async with room.socket() as client:
            await client.say({"topic": "bees", "colour": "gold"})
            assert (await client.hear())["type"] == "progress_event"


class TestSize:
    async def test_frame_of_64_kib_is_read(self, room: Newsroom) -> None:
        async with room.socket() as client:
            await client.say(padded(KIB_64))
            assert (await client.hear())["type"] == "progress_event"

    @pytest.mark.parametrize("frame", [padded(KIB_64 + 1), json.dumps({"topic": "蜂" * 22_000}, ensure_ascii=False)])
    async def test_frame_above_64_kib_is_refused_as_too_large(self, quiet_room: Newsroom, frame: str) -> None:
        async with quiet_room.socket() as client:
            await client.say(frame)
            (answer,) = await client.hear_all()
            assert (answer["type"], answer["payload"]) == ("error", "The request is larger than 64 KiB.")
            assert await client.closed() == 4413

    async def test_frame_above_1_mib_is_closed_by_the_server(self, quiet_room: Newsroom) -> None:
        async with quiet_room.socket() as client:
            with suppress(ConnectionClosed):  # in the middle of sending
                await client.say(padded(1024**2 + 1))
            assert await client.hear_all() == []
            assert await client.closed() == 1009


class TestBytes:
    async def test_text_that_is_no_utf_8_is_closed_by_the_server(self, quiet_room: Newsroom) -> None:
        async with quiet_room.socket() as client:
            await client.socket.send(b'{"topic": "\xff"}', text=True)
            assert await client.hear_all() == []
            assert await client.closed() == 1007


class TestOtherRefusals:
    async def test_silent_client_is_told_and_closed(
        self, quiet_room: Newsroom, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(content, "FIRST_FRAME_S", 0.1)
        async with quiet_room.socket() as client:
            assert "No request came" in (await client.hear())["payload"]
            assert await client.closed() == 4400

    async def test_client_that_leaves_without_a_word_is_no_trouble(self, quiet_room: Newsroom) -> None:
        async with quiet_room.socket():
            pass

    async def test_research_that_is_switched_off_is_refused(self, plant: Plant) -> None:
        async with newsroom(plant, researches=False) as room, room.socket() as client:
            length = await room.log_length()
            await client.say({"topic": "bees", "research": True})
            (answer,) = await client.hear_all()
            assert answer["error"]["code"] == "research-is-off"
            assert (await client.closed(), await room.log_length()) == (4400, length)
            assert (await room.post({"topic": "bees", "research": True})).json()["code"] == "research-is-off"

    async def test_same_id_for_another_request_is_a_conflict(self, room: Newsroom) -> None:
        await room.requested(client_request_id="conflict")
        length = await room.log_length()
        async with room.socket() as client:
            await client.say({"topic": "trees", "client_request_id": "conflict"})
            (answer,) = await client.hear_all()
            assert answer["error"]["code"] == "request-conflict"
            assert (await client.closed(), await room.log_length()) == (4409, length)

    async def test_workflow_that_cannot_be_read_is_told(self, room: Newsroom) -> None:
        await room.record_unreadable(await room.requested(client_request_id="unreadable-socket"))
        async with room.socket() as client:
            await client.say({"topic": "bees", "client_request_id": "unreadable-socket"})
            (answer,) = await client.hear_all()
            assert answer["error"]["code"] == "history-unreadable" and not answer["error"]["retryable"]
            assert await client.closed() == 1013
