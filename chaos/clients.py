"""The clients: each asks for one workflow and follows it to its end, whatever breaks; and writes down what it saw.

A client that loses its connection attaches again behind its last revision, as any good client does (docs/websocket.md).
One whose workflow failed and may be resumed does so as soon as there is hope that it helps; what has failed when all
faults are over is left to the operator's one command.
"""

import asyncio
import hashlib
import itertools
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx2
import websockets
from websockets.asyncio.client import ClientConnection

from chaos.ground import PROMPT, Ground
from chaos.plan import Wish

PAUSE_S = 0.5
"""Before another try."""

LITTLE, WAIT_S = 3, 2.0
"""Where so few workflows are under way and so long nobody has begun, one more is begun."""

RESUMES_MAX = 8
SILENCE_S = 40.0
"""The server says something every 15 s; a connection without a word for so long is a dead one."""

TERMINAL = {"workflow-completed", "workflow-failed", "workflow-cancelled"}
OVER_CODES = {4400, 4404, 4409, 4413}
"""Closes after which another try would be the same."""

NOT_DONE_CODES = {"log-full", "already-closed", "history-full", "request-conflict", "unknown-workflow", "bad-request"}
"""Problems that say for certain that nothing was recorded."""


ONLOOKER = Wish(0, "", False, (), over_http=False, cancels_at=None, leaves_at=(), pause_s=0, has_canary=False)
"""What one wants who asks for nothing."""


class GivesUp(Exception):
    """The client cannot go on; the message says why."""


@dataclass
class Story:
    """What a client knows of its workflow."""

    workflow_id: str | None = None
    revision: int = 0
    run: int = 1
    end: str | None = None
    """The event that closed the last run that it knows of; None while one is open."""
    is_retryable: bool = False
    resumes: int = 0

    def learn(self, frame: Mapping[str, Any]) -> None:
        """Takes in one event."""
        event, data = frame["event"], frame["data"]
        self.revision = frame["revision"]
        if event == "workflow-resumed":
            self.end, self.run = None, data["run"]
        elif event in TERMINAL:
            self.end = event
            self.is_retryable = event == "workflow-failed" and bool(frame.get("error", {}).get("retryable"))


class Client:
    """One client with one wish."""

    def __init__(self, ground: Ground, wish: Wish, *, name: str | None = None, key: str | None = None) -> None:
        self._ground, self._wish = ground, wish
        self.name = name or f"client-{wish.number}"
        self._ids = itertools.count(1)
        self._leaves = [*wish.leaves_at]
        self._has_cancelled = False
        self._open_cancel = ""
        """The invocation of a cancel that was not answered yet."""
        self._key = key or f"chaos-{ground.plan.seed}-{wish.number}"
        self.story = Story()
        self.attached = 0
        """How often it has connected."""
        self.is_done = False
        self.waits_for_hope = False
        """Its workflow has failed, and nothing goes on until it is resumed."""
        self._stays = False
        """Whether it listens until the server closes, and not only until the run is over."""

    # ------------------------------------------------------------ from the wish to the end

    async def live(self) -> None:
        """Until its workflow has ended for good. Raises GivesUp."""
        if self._wish.over_http:
            await self._ask_over_http()
        while not self._is_over():
            if self.story.end == "workflow-failed":
                await self._resume()
            await self._follow()

    def _is_over(self) -> bool:
        story = self.story
        if story.end == "workflow-failed" and story.is_retryable and not self._wish.cancels_at:
            return story.resumes >= RESUMES_MAX
        return story.end is not None

    def body(self) -> dict[str, Any]:
        """What it asks for."""
        wish = self._wish
        brief = {"brief": {"tone": PROMPT}} if wish.has_canary else {}
        return {
            "topic": wish.topic,
            "research": wish.research,
            "platforms": [*wish.platforms],
            "client_request_id": self._key,
            **brief,
        }

    async def _ask_over_http(self) -> None:
        """Asks until it is answered; the request id makes that safe."""
        while self.story.workflow_id is None:
            answer = await self.send("request", "/workflows", self.body())
            if answer is not None and answer.status_code == 202:
                self._is_known(answer.json()["workflow_id"])
            elif answer is not None and answer.status_code < 500:
                raise GivesUp(f"{self.name}: {answer.status_code} {answer.text}")
            else:
                await asyncio.sleep(PAUSE_S)

    def _is_known(self, workflow_id: str) -> None:
        if self.story.workflow_id is None:
            self.story.workflow_id = workflow_id
            self._ground.known_workflows.append(workflow_id)

    async def _resume(self) -> None:
        """Waits for hope, then asks for the next run."""
        if not self._ground.is_redriven.is_set():
            await self._hope()
            if self._ground.is_redriven.is_set():  # it was resumed with all others: that is to be seen
                self._is_resumed()
                return
        while True:
            answer = await self.send("resume", f"/workflows/{self.story.workflow_id}/resume", {})
            if answer is not None and answer.status_code in (202, 409):
                self._is_resumed()
                return
            await asyncio.sleep(PAUSE_S)

    async def _hope(self) -> None:
        """Until a resume makes sense, or one command has had all go on that could not by themselves."""
        self.waits_for_hope = True
        waits = [asyncio.create_task(event.wait()) for event in (self._ground.hope, self._ground.is_redriven)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            self.waits_for_hope = False

    def _is_resumed(self) -> None:
        self.story.resumes += 1
        self.story.end = None

    async def send(self, op: str, path: str, body: Mapping[str, Any]) -> httpx2.Response | None:
        """One request, written down with what became of it. -> the answer, if any came"""
        invocation = self._invoke(op, body=body)
        try:
            answer = await self._ground.http.post(path, json=body)
        except httpx2.ConnectError as wrong:
            self._end(op, invocation, "failed", error=type(wrong).__name__)
            return None
        except httpx2.TransportError as wrong:
            self._end(op, invocation, "unknown", error=type(wrong).__name__)
            return None
        if answer.status_code == 202:
            told = answer.json()
            self._end(op, invocation, "ok", status=202, workflow_id=told["workflow_id"])
        else:
            keep_body(self._ground, path, answer)
            code = code_of(answer)
            is_certain = answer.status_code < 500 or code in NOT_DONE_CODES
            self._end(op, invocation, "failed" if is_certain else "unknown", status=answer.status_code, problem=code)
        return answer

    # ------------------------------------------------------------ one connection

    async def _follow(self) -> None:
        """One connection, from its first frame until it ends in whatever way."""
        url = f"{self._ground.address.replace('http', 'ws', 1)}/content"
        first, op, invocation = self._first_frame()
        try:
            async with websockets.connect(url, proxy=None, compression=None, max_size=None, open_timeout=10) as socket:
                await socket.send(json.dumps(first))
                self.attached += 1
                if op == "attach":
                    self._end(op, invocation, "ok", workflow_id=self.story.workflow_id)
                    invocation = ""
                while self._stays or self.story.end is None:
                    async with asyncio.timeout(SILENCE_S):
                        frame = json.loads(await socket.recv())
                    if invocation and "workflow_id" in frame:
                        self._end(op, invocation, "ok", workflow_id=frame["workflow_id"], status=101)
                        invocation = ""
                    await self._hear(frame, socket)
            self._write("closed", code=socket.close_code)
            self._cancel_is("unknown")
        except (OSError, TimeoutError, websockets.WebSocketException) as lost:
            code = getattr(getattr(lost, "rcvd", None), "code", None)
            self._write("closed", code=code, error=type(lost).__name__)
            self._cancel_is("unknown")
            self.is_done = self.story.end is not None
            if invocation:
                self._end(op, invocation, "unknown", error=type(lost).__name__)
            if code in OVER_CODES:
                raise GivesUp(f"{self.name}: the websocket was closed with {code}") from lost
            await asyncio.sleep(PAUSE_S)

    def _first_frame(self) -> tuple[dict[str, Any], str, str]:
        """-> the frame, what it is, and the id of its invocation"""
        if self.story.workflow_id is None:
            return {"type": "start", **self.body()}, "request", self._invoke("request", body=self.body())
        place = {"workflow_id": self.story.workflow_id, "after_revision": self.story.revision}
        return {"type": "attach", **place}, "attach", self._invoke("attach", **place)

    async def _hear(self, frame: dict[str, Any], socket: ClientConnection) -> None:
        if frame["type"] in ("accepted", "error"):
            self._cancel_is("ok" if frame["type"] == "accepted" else "failed")
        if frame["type"] != "event":
            return
        self._is_known(frame["workflow_id"])
        seen = {name: frame[name] for name in ("workflow_id", "revision", "event", "data", "position")}
        self._write("frame", event_id=frame["id"], **seen)
        self.story.learn(frame)
        await asyncio.sleep(self._wish.pause_s)
        if self._wish.cancels_at and self.story.revision >= self._wish.cancels_at and not self._has_cancelled:
            self._has_cancelled = True
            if self.story.end is None:
                await self._cancel(socket)
        if self._leaves and self.story.revision >= self._leaves[0]:
            self._leaves.pop(0)
            socket.transport.abort()

    async def _cancel(self, socket: ClientConnection) -> None:
        self._open_cancel = self._invoke("cancel")
        with suppress(websockets.WebSocketException):
            await socket.send(json.dumps({"type": "cancel", "reason": "chaos"}))

    def _cancel_is(self, phase: str) -> None:
        """What became of the cancel, if one is open."""
        if self._open_cancel:
            self._end("cancel", self._open_cancel, phase)
            self._open_cancel = ""

    # ------------------------------------------------------------ what it writes down

    def _invoke(self, op: str, **told: Any) -> str:
        invocation = f"{self.name}:{next(self._ids)}"
        key = {"client_request_id": self._key} if op == "request" else {}
        subject = {"workflow_id": self.story.workflow_id} if op in ("cancel", "resume") else {}
        self._write(op, id=invocation, phase="invoked", **(key | subject | told))
        return invocation

    def _end(self, op: str, invocation: str, phase: str, **told: Any) -> None:
        key = {"client_request_id": self._key} if op == "request" else {}
        subject = {"workflow_id": self.story.workflow_id} if op in ("cancel", "resume") else {}
        self._write(op, id=invocation, phase=phase, **(key | subject | told))

    def _write(self, op: str, **told: Any) -> None:
        self._ground.records.write("clients", client=self.name, op=op, **told)


def keep_body(ground: Ground, path: str, answer: httpx2.Response) -> None:
    """An answer that was no success, as it was read."""
    ground.records.write("bodies", path=path, status=answer.status_code, body=answer.text)


def code_of(answer: httpx2.Response) -> str | None:
    """The problem's code, where the answer tells a problem."""
    with suppress(ValueError, AttributeError):
        return answer.json().get("code")
    return None


async def read(ground: Ground, path: str, *, client: str = "reader") -> int | None:
    """Reads once, and writes down what came. -> the status"""
    invocation = f"{client}:{time.monotonic_ns()}"
    ground.records.write("clients", client=client, op="read", id=invocation, phase="invoked", path=path)
    try:
        answer = await ground.http.get(path)
    except httpx2.TransportError as wrong:
        told = {"phase": "failed", "error": type(wrong).__name__}
        ground.records.write("clients", client=client, op="read", id=invocation, path=path, **told)
        return None
    digest = hashlib.sha256(answer.content).hexdigest()
    phase = "ok" if answer.status_code < 400 else "failed"
    told = {"phase": phase, "status": answer.status_code, "body_sha256": digest}
    ground.records.write("clients", client=client, op="read", id=invocation, path=path, **told)
    if answer.status_code >= 400 or not path.startswith(("/workflows", "/images/")):
        keep_body(ground, path, answer)
    return answer.status_code


class Watcher(Client):
    """Looks on at a workflow that somebody else asked for, until the server says that it is over."""

    def __init__(self, ground: Ground, workflow_id: str, *, name: str) -> None:
        super().__init__(ground, ONLOOKER, name=name)
        self.story.workflow_id = workflow_id
        self._stays = True

    async def live(self) -> None:
        """See Client."""
        while not self.is_done:
            await self._follow()


class Crowd:
    """All clients. How many may begin follows the faults, so that there is work as long as there are faults."""

    def __init__(self, ground: Ground, *, at_once: int) -> None:
        self._ground = ground
        self._at_once = at_once
        self._allowed = 0
        self._wakes = asyncio.Event()
        self.is_wanted = False
        """Whether there are faults that need work."""
        self.begun = 0
        self.ended = 0
        self.troubles: list[str] = []
        self.clients = [Client(ground, wish) for wish in ground.plan.wishes]

    def allow(self, count: int) -> None:
        """So many of them may have begun."""
        self._allowed = max(self._allowed, min(count, len(self.clients)))
        self._wakes.set()

    @property
    def in_flight(self) -> int:
        """Who has begun and not ended."""
        return self.begun - self.ended

    @property
    def at_work(self) -> int:
        """How many workflows are under way that go on by themselves."""
        return self.in_flight - sum(client.waits_for_hope for client in self.clients)

    @property
    def is_used_up(self) -> bool:
        """Whether every client has begun."""
        return self.begun == len(self.clients)

    @property
    def is_at_rest(self) -> bool:
        """Whether each has ended, or waits until there is hope."""
        return self.ended + sum(client.waits_for_hope for client in self.clients) == len(self.clients)

    async def live(self) -> None:
        """Until each has ended."""
        running: set[asyncio.Task[None]] = set()
        try:
            for client in self.clients:
                await self._turn()
                self.begun += 1
                task = asyncio.create_task(self._one(client))
                running.add(task)
                task.add_done_callback(running.discard)
            await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _turn(self) -> None:
        """Waits until another one may begin: as many as are allowed, and, as faults need work, one more now and then
        where little is going on."""
        began = time.monotonic()
        while not self._may_begin(time.monotonic() - began):
            self._wakes.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await self._wakes.wait()

    def _may_begin(self, waited_s: float) -> bool:
        if self.begun < self._allowed:
            return self.at_work < self._at_once
        return self.is_wanted and self.at_work < LITTLE and waited_s > WAIT_S

    async def _one(self, client: Client) -> None:
        try:
            await client.live()
        except GivesUp as gives_up:
            self.troubles.append(str(gives_up))
        finally:
            self.ended += 1
            self._wakes.set()
