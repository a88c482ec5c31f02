"""The whole system while servers stand still and processes come and go: nothing is paid twice, nobody notices."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import httpx2
import psutil
import pytest
import websockets
from websockets.exceptions import ConnectionClosed

from tests.system.system import TERMINAL, Read, System
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

WISHES: dict[str, Any] = {"research": True, "platforms": ["linkedin", "x"]}
CALL_S = 0.4
SOCKETS = 100
PROCESSES = ("research-1", "writer-1", "illustrator-1", "projector-1", "gateway-1")


@contextmanager
def standing_still(system: System, *names: str) -> Generator[None]:
    """The processes with all their children: what is sent is taken in by the kernel, and nobody answers."""
    processes = [psutil.Process(system.pid(name)) for name in names]
    family = [one for process in processes for one in (process, *process.children(recursive=True))]
    for one in family:
        one.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for one in family:
            one.send_signal(signal.SIGCONT)


async def paid(system: System, topic: str) -> Counter[str]:
    """How often each kind of call was made about this topic."""
    return Counter(f"{call.kind}:{call.platform}" for call in await system.standin.calls() if topic in call.topic)


ONCE = Counter(["research:None", "blog:None", "social:LinkedIn", "social:X", "scene:None", "image:None"])


async def test_paid_call_that_ends_while_nats_stands_still_is_recorded_and_not_made_again(system: System) -> None:
    topic = "Tea while NATS stands still"
    await system.standin.latency(CALL_S)
    workflow_id = await system.request(topic, **WISHES)

    async def is_called() -> bool:
        return any(topic in call.topic and call.kind == "blog" for call in await system.standin.calls())

    async def has_ended() -> bool:
        return all(call.ended_at for call in await system.standin.calls() if topic in call.topic)

    async def is_unready() -> bool:
        return (await system.http.get("/health/ready")).status_code == 503

    await until(is_called, "the blog post is being written")
    with standing_still(system, *system.nats_servers()):
        await until(has_ended, "the call has ended")
        await until(is_unready, "the gateway has noticed")
        refused = await system.http.post("/workflows", json={"topic": topic})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    await system.standin.latency(0)
    await system.until_event(workflow_id, "workflow-completed")
    assert await paid(system, topic) == ONCE


async def test_workflow_goes_on_without_postgres_and_the_reads_are_back_by_themselves(system: System) -> None:
    with standing_still(system, "postgres"):
        workflow_id = await system.request("Tea without tables", **WISHES)
        await system.until_event(workflow_id, "workflow-completed")

    async def is_read() -> bool:
        answer = await system.http.get(f"/workflows/{workflow_id}")
        return answer.status_code == 200 and answer.json()["status"] == "completed"

    await until(is_read, "the tables have caught up")


async def test_all_but_the_illustration_is_made_without_s3(system: System) -> None:
    with standing_still(system, "s3"):
        workflow_id = await system.request("Tea without pictures", **WISHES)
        for platform in WISHES["platforms"]:
            await system.until_event(workflow_id, "social-post-written", platform=platform)
    await system.until_event(workflow_id, "workflow-completed")


class Watcher:
    """A client as docs/websocket.md has it: attaches again behind its last revision until the run has ended."""

    def __init__(self, system: System, workflow_id: str) -> None:
        self._system, self._workflow_id = system, workflow_id
        self.told: list[Read] = []
        self.reconnects = 0

    async def watch(self) -> None:
        address = f"{self._system.address.replace('http', 'ws')}/content"
        while not self.told or self.told[-1]["event"] not in TERMINAL:
            with suppress(OSError, ConnectionClosed, websockets.InvalidMessage):
                async with websockets.connect(address, proxy=None) as it:
                    seen = self.told[-1]["revision"] if self.told else 0
                    attach = {"type": "attach", "workflow_id": self._workflow_id, "after_revision": seen}
                    await it.send(json.dumps(attach))
                    await self._listen(it)
            self.reconnects += 1
            await asyncio.sleep(0)

    async def _listen(self, socket: websockets.ClientConnection) -> None:
        async for text in socket:
            frame = json.loads(text)
            assert frame["type"] != "error", frame
            if frame["type"] == "event":
                self.told.append(frame)
                if frame["event"] in TERMINAL:
                    return


async def requested(system: System, topic: str) -> str:
    """Asks until it is taken in, with the same id, as a careful client does; a gateway may just be going."""
    request = {"topic": topic, "client_request_id": topic, **WISHES}

    async def ask() -> str | None:
        with suppress(httpx2.TransportError):
            answer = await system.http.post("/workflows", json=request)
            assert answer.status_code == 202, answer.text
            return answer.json()["workflow_id"]
        return None

    return await until(ask, "it is taken in")


async def test_rolling_restart_and_rebuild_under_load_are_noticed_by_nobody(system: System) -> None:
    topics = [f"Tea through restart {number:02}" for number in range(2 * len(PROCESSES))]
    await system.standin.latency(CALL_S)
    watchers: list[Watcher] = []
    watching: list[asyncio.Task[None]] = []

    async def ask(some: list[str]) -> None:
        for topic in some:
            watchers.append(Watcher(system, await requested(system, topic)))
            watching.append(asyncio.create_task(watchers[-1].watch()))

    rebuilding = asyncio.create_task(system.run_verb("rebuild"))
    for number, name in enumerate(PROCESSES):
        asking = asyncio.create_task(ask(topics[2 * number : 2 * number + 2]))
        await system.stop_and_see_it_back(name)
        await asking
    async with asyncio.timeout(150):
        await asyncio.gather(*watching)
    await system.standin.latency(0)
    for topic, watcher in zip(topics, watchers, strict=True):
        assert [one["revision"] for one in watcher.told] == list(range(1, len(watcher.told) + 1))
        assert watcher.told[-1]["event"] == "workflow-completed"
        assert await paid(system, topic) == ONCE
    code, _, words = await rebuilding
    assert code == 0, words
    code, out, words = await system.run_verb("verify")
    assert code == 0, out + words


async def test_every_socket_of_a_killed_gateway_is_back_without_a_gap(system: System) -> None:
    topic = "Tea for a hundred"
    await system.standin.rule(when={"topic_contains": topic, "kind": "image"}, do={"hang": True}, times=1)
    workflow_id = await system.request(topic, **WISHES)
    watchers = [Watcher(system, workflow_id) for _ in range(SOCKETS)]
    watching = [asyncio.create_task(watcher.watch()) for watcher in watchers]

    async def all_watch() -> bool:
        return all(watcher.told for watcher in watchers)

    async def all_are_back() -> bool:
        return all(watcher.told[-1]["event"] in TERMINAL for watcher in watchers)

    await until(all_watch, "all watch")
    await system.kill_and_see_it_back("gateway-1")

    async def is_cancelled() -> bool:
        with suppress(httpx2.TransportError):
            return (await system.http.post(f"/workflows/{workflow_id}/cancel")).status_code == 202
        return False

    await until(is_cancelled, "the next gateway serves")
    await until(all_are_back, "all have heard the end")
    await asyncio.gather(*watching)
    (revisions,) = {tuple(one["revision"] for one in watcher.told) for watcher in watchers}
    assert revisions == tuple(range(1, len(revisions) + 1))
    assert all(watcher.reconnects >= 2 for watcher in watchers)
