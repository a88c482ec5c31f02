"""`ws /content` in the full dialect: start, attach, cancel, resume, ping; events, deltas, heartbeats, and the end."""

from collections.abc import AsyncGenerator
from typing import Any

import jsonschema_rs
import pytest
import pytest_asyncio

from chassis import deltas
from contracts.events import Failure, WorkflowFailed, WorkflowResumed
from contracts.platforms import Platform
from contracts.services import GATEWAY, WRITER
from contracts.subjects import WorkflowKey
from contracts.works import Work
from services.gateway import full_dialect
from services.gateway.asyncapi import TO_CLIENT, asyncapi
from services.gateway.desk import OWNER
from tests.services.gateway.newsroom import (
    CANCELLED,
    COMPLETED,
    Client,
    Newsroom,
    Plant,
    asked,
    claimed,
    new_key,
    newsroom,
)
from tests.services.gateway.records import blog_written

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAILED = WorkflowFailed(
    run=1, work=Work.BLOG, attempt=1, error=Failure(code="quota-used-up", message="Top it up.", retryable=True)
)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a resume."""
    monkeypatch.setattr(full_dialect, "LINGER_S", 0.05)


@pytest_asyncio.fixture(loop_scope="module")
async def key(room: Newsroom) -> AsyncGenerator[WorkflowKey]:
    """A workflow of four events, still open."""
    key = new_key()
    await room.record(key, asked(), claimed(Work.BLOG), claimed(Work.BLOG, 2), claimed(Work.BLOG, 3))
    yield key


async def attached(client: Client, key: WorkflowKey, after: int = 0) -> None:
    await client.say({"type": "attach", "workflow_id": key.workflow_id, "after_revision": after})


async def revisions(client: Client, last: int) -> list[int]:
    """The revisions that are told, up to the last."""
    told: list[int] = []
    while not told or told[-1] < last:
        frame = await client.hear()
        assert frame["type"] == "event", frame
        told.append(frame["revision"])
    return told


async def answer(client: Client, *kinds: str) -> dict[str, Any]:
    """The next frame of one of these types."""
    while (frame := await client.hear())["type"] not in kinds:
        pass
    return frame


async def follows(room: Newsroom, client: Client) -> None:
    """Waits until the gateway listens for this client, and NATS knows of it."""
    await client.say({"type": "ping"})
    await answer(client, "pong")
    await (await room.connection(GATEWAY)).flush()


class TestStart:
    async def test_workflow_is_told_from_its_first_event(self, room: Newsroom) -> None:
        async with room.socket() as client:
            await client.say({"type": "start", "topic": "bees", "research": True, "platforms": ["x"]})
            first = await client.hear()
            assert (first["type"], first["event"], first["revision"]) == ("event", "workflow-requested", 1)
            assert (first["payload"], first["data"]["platforms"]) == ("Asked for: bees", ["x"])
            await room.record(WorkflowKey(OWNER, first["workflow_id"]), claimed(Work.RESEARCH))
            second = await client.hear()
            assert (second["payload"], second["work"], second["attempt"]) == ("Searching for sources", "research", 1)

    async def test_same_request_again_is_the_same_workflow(self, room: Newsroom) -> None:
        request = {"type": "start", "topic": "bees", "client_request_id": "full-again"}
        ids: set[str] = set()
        for _ in range(2):
            async with room.socket() as client:
                await client.say(request)
                ids.add((await client.hear())["workflow_id"])
        assert len(ids) == 1

    async def test_another_request_under_the_same_id_is_4409(self, room: Newsroom) -> None:
        await room.requested(client_request_id="full-conflict")
        async with room.socket() as client:
            await client.say({"type": "start", "topic": "trees", "client_request_id": "full-conflict"})
            (told,) = await client.hear_all()
            assert (told["type"], told["error"]["code"]) == ("error", "request-conflict")
            assert await client.closed() == 4409


class TestAttach:
    @pytest.mark.parametrize("after", [0, 1, 3, 4])
    async def test_every_event_behind_a_revision_is_told_once_in_order(
        self, room: Newsroom, key: WorkflowKey, after: int
    ) -> None:
        async with room.socket() as client:
            await attached(client, key, after)
            await room.record(key, claimed(Work.BLOG, 4))
            assert await revisions(client, 5) == list(range(after + 1, 6))

    async def test_client_that_was_cut_off_misses_nothing(self, room: Newsroom, key: WorkflowKey) -> None:
        told: list[int] = []
        for upto in (2, 4, 6):
            async with room.socket() as client:
                await attached(client, key, after=len(told))
                if upto == 6:
                    await room.record(key, claimed(Work.BLOG, 4), claimed(Work.BLOG, 5))
                told += await revisions(client, upto)
        assert told == [1, 2, 3, 4, 5, 6]

    async def test_two_devices_hear_the_same(self, room: Newsroom, key: WorkflowKey) -> None:
        async with room.socket() as first, room.socket() as second:
            await attached(first, key)
            await attached(second, key)
            await room.record(key, blog_written())
            heard = [[await client.hear() for _ in range(5)] for client in (first, second)]
        assert heard[0] == heard[1]

    async def test_unknown_workflow_is_4404(self, room: Newsroom) -> None:
        for after in (0, 3):
            async with room.socket() as client:
                await attached(client, new_key(), after)
                (told,) = await client.hear_all()
                assert (told["error"]["code"], told["payload"]) == ("unknown-workflow", "There is no such workflow.")
                assert await client.closed() == 4404

    async def test_revision_that_the_log_does_not_have_is_4409(self, room: Newsroom, key: WorkflowKey) -> None:
        async with room.socket() as client:
            await attached(client, key, after=5)
            (told,) = await client.hear_all()
            assert told["error"]["code"] == "revision-unknown"
            assert await client.closed() == 4409


class TestCommands:
    async def test_cancel_is_accepted_and_told(self, room: Newsroom, key: WorkflowKey) -> None:
        async with room.socket() as client:
            await attached(client, key, after=4)
            await client.say({"type": "cancel", "reason": "I changed my mind."})
            frames = {frame["type"]: frame for frame in [await client.hear(), await client.hear()]}
        assert (frames["event"]["event"], frames["event"]["payload"]) == (
            "workflow-cancelled",
            "Cancelled: I changed my mind.",
        )
        assert frames["accepted"] == {
            "type": "accepted",
            "payload": "cancel",
            "workflow_id": key.workflow_id,
            "revision": 5,
            "position": frames["event"]["position"],
        }

    async def test_cancel_again_points_to_the_first_one(self, room: Newsroom, key: WorkflowKey) -> None:
        async with room.socket() as client:
            await attached(client, key, after=4)
            told: list[dict[str, Any]] = []
            for _ in range(3):
                await client.say({"type": "cancel"})
                told.append(await answer(client, "accepted"))
        assert [one["revision"] for one in told] == [5, 5, 5]
        assert (await room.history(key)).revision == 5

    async def test_resume_within_the_linger_goes_on(self, room: Newsroom, key: WorkflowKey) -> None:
        await room.record(key, FAILED)
        async with room.socket() as client:
            await attached(client, key, after=4)
            assert (await client.hear())["event"] == "workflow-failed"
            await client.say({"type": "resume"})
            assert (await answer(client, "accepted"))["payload"] == "resume"
            await room.record(key, claimed(Work.BLOG))
            assert (await answer(client, "event"))["revision"] in (6, 7)

    async def test_what_cannot_be_is_said_and_the_socket_stays(self, room: Newsroom, key: WorkflowKey) -> None:
        await room.record(key, COMPLETED)
        async with room.socket() as client:
            await attached(client, key, after=5)
            for command in ("cancel", "resume"):
                await client.say({"type": command})
                told = await client.hear()
                assert (told["type"], told["error"]["code"]) == ("error", "already-closed")
            await client.say({"type": "ping", "id": "still there?"})
            assert await client.hear() == {"type": "pong", "payload": "still there?"}

    @pytest.mark.parametrize(
        ("frame", "words"),
        [
            ("hello", "not JSON"),
            (b"\x00", "text frame"),
            ("[]", "not a JSON object"),
            ('{"topic": "bees"}', "type"),
            ('{"type": "start", "topic": "bees"}', "cancel, resume, ping"),
            ('{"type": ["cancel"]}', "cancel, resume, ping"),
            ('{"type": "cancel", "reason": 7}', "reason"),
            ('{"type": "ping", "id": "\\ud83d"}', "id"),
        ],
        ids=repr,
    )
    async def test_bad_frame_is_said_and_closes_with_4400(
        self, room: Newsroom, key: WorkflowKey, frame: str | bytes, words: str
    ) -> None:
        async with room.socket() as client:
            await attached(client, key, after=4)
            await client.say(frame)
            (told,) = await client.hear_all()
            assert (told["error"]["code"], words in told["payload"]) == ("bad-frame", True), told
            assert await client.closed() == 4400
        assert (await room.history(key)).state.phase == "open"


class TestFirstFrame:
    @pytest.mark.parametrize(
        ("frame", "words"),
        [
            ({"type": "begin"}, "start, attach"),
            ({"type": None}, "start, attach"),
            ({"type": "cancel"}, "start, attach"),
            ({"type": "start"}, "topic"),
            ({"type": "start", "topic": "bees", "colour": "gold"}, "colour"),
            ({"type": "attach"}, "workflow_id"),
            ({"type": "attach", "workflow_id": "a.b"}, "workflow_id"),
            ({"type": "attach", "workflow_id": "w", "after_revision": -1}, "after_revision"),
        ],
        ids=repr,
    )
    async def test_bad_one_is_said_and_closes_with_4400(self, room: Newsroom, frame: object, words: str) -> None:
        length = await room.log_length()
        async with room.socket() as client:
            await client.say(frame)
            (told,) = await client.hear_all()
            assert (told["error"]["code"], words in told["payload"]) == ("bad-frame", True), told
            assert await client.closed() == 4400
        assert await room.log_length() == length


class TestDeltas:
    async def test_text_comes_between_the_events_and_begins_anew_with_an_attempt(
        self, room: Newsroom, key: WorkflowKey
    ) -> None:
        streams = deltas.delta_streams(await room.connection(WRITER), WRITER)
        async with room.socket() as client:
            await attached(client, key, after=4)
            await follows(room, client)
            await streams(key, claimed(Work.BLOG, 3))("Once upon")
            heard = await client.hear()
            assert (heard["type"], heard["payload"], heard["offset"]) == ("delta", "Once upon", 0)
            await room.record(key, claimed(Work.BLOG, 4))
            assert (await client.hear())["event"] == "work-claimed"
            await streams(key, claimed(Work.BLOG, 4))("Twice")
            heard = await client.hear()
            assert (heard["payload"], heard["attempt"], heard["offset"]) == ("Twice", 4, 0)

    async def test_late_listener_hears_the_whole_text(
        self, room: Newsroom, key: WorkflowKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deltas, "EVERY_S", 0)
        monkeypatch.setattr(deltas, "WHOLE_EVERY_S", 0)
        say = deltas.delta_streams(await room.connection(WRITER), WRITER)(key, claimed(Work.BLOG, 3))
        await say("Once upon ")
        async with room.socket() as client:
            await attached(client, key, after=4)
            await follows(room, client)
            await say("a time")
            heard = await client.hear()
        assert (heard["offset"], heard["payload"]) == (0, "Once upon a time")

    @pytest.mark.parametrize("made", [False, True])
    async def test_text_that_has_been_superseded_is_not_told_to_who_comes_late(
        self, room: Newsroom, key: WorkflowKey, made: bool
    ) -> None:
        if made:
            await room.record(key, blog_written())
        streams = deltas.delta_streams(await room.connection(WRITER), WRITER)
        async with room.socket() as client:
            await attached(client, key, after=5 if made else 4)
            await follows(room, client)
            await streams(key, claimed(Work.BLOG, 2))("Once upon")
            await streams(key, claimed(Work.social(Platform.LINKEDIN)))("Bees!")
            assert (await client.hear())["payload"] == "Bees!"


class TestHeartbeats:
    async def test_silence_is_followed_by_a_sign_of_life(
        self, room: Newsroom, key: WorkflowKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(full_dialect, "HEARTBEAT_S", 0.1)
        async with room.socket() as client:
            await attached(client, key, after=4)
            beat = await client.hear()
        assert (beat["type"], beat["payload"], beat["revision"]) == ("heartbeat", "", 4)


@pytest.mark.usefixtures("impatient")
class TestTheEnd:
    @pytest.mark.parametrize("end", [COMPLETED, CANCELLED, FAILED], ids=lambda end: end.type)
    async def test_socket_is_closed_a_while_after_the_run(self, room: Newsroom, key: WorkflowKey, end: Any) -> None:
        async with room.socket() as client:
            await attached(client, key, after=4)
            await room.record(key, end)
            assert [frame["event"] for frame in await client.hear_all()] == [end.type]
            assert await client.closed() == 1000

    async def test_end_of_an_earlier_run_is_not_the_end(self, room: Newsroom, key: WorkflowKey) -> None:
        await room.record(key, FAILED, WorkflowResumed(run=2), COMPLETED)
        async with room.socket() as client:
            await attached(client, key)
            assert [frame["revision"] for frame in await client.hear_all()] == [1, 2, 3, 4, 5, 6, 7]

    async def test_result_behind_the_end_is_told_and_keeps_nobody(self, room: Newsroom, key: WorkflowKey) -> None:
        await room.record(key, CANCELLED, blog_written())
        for after in (4, 5, 6):
            async with room.socket() as client:
                await attached(client, key, after)
                assert [frame["revision"] for frame in await client.hear_all()] == list(range(after + 1, 7))
                assert await client.closed() == 1000


async def test_every_frame_is_as_asyncapi_says(room: Newsroom, key: WorkflowKey, impatient: None) -> None:
    document = asyncapi("test")
    async with room.socket() as client:
        await attached(client, key)
        await client.say({"type": "ping", "id": "1"})
        await deltas.delta_streams(await room.connection(WRITER), WRITER)(key, claimed(Work.BLOG, 3))("Once")
        await client.say({"type": "cancel"})
        frames = await client.hear_all()
    assert {"event", "pong", "accepted"} <= {frame["type"] for frame in frames}
    for frame in frames:
        schema = {"$ref": f"#/components/schemas/{TO_CLIENT[frame['type']].__name__}", **document}
        jsonschema_rs.validate(schema, frame)


async def test_history_that_cannot_be_read_is_told(room: Newsroom, key: WorkflowKey) -> None:
    async with room.socket() as client:
        await attached(client, key, after=4)
        await client.say({"type": "ping"})
        await answer(client, "pong")
        await room.record_unreadable(key)
        *_, last = await client.hear_all()
        assert last["error"]["code"] == "history-unreadable"
        assert await client.closed() == 1013


async def test_socket_without_a_place_is_4429(plant: Plant) -> None:
    async with newsroom(plant, sockets_max=0) as room, room.socket() as client:
        (told,) = await client.hear_all()
        assert told["error"] == {"code": "too-many-sockets", "message": told["payload"], "retryable": True}
        assert await client.closed() == 4429
