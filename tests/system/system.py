"""The whole system as its users and operators meet it: `./run up` on a data directory, its address, its processes."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import httpx2
import websockets

from contracts.envelope import Recorded
from contracts.events import EVENT_TYPES, Event
from contracts.subjects import WorkflowKey
from local.nats import node_names
from local.spawn import noted_processes
from local.standin.control import StandIn
from local.state import DataDirectory
from local.supervisor import REGISTER
from tests.nodes import NODES
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
TERMINAL = {"workflow-completed", "workflow-failed", "workflow-cancelled"}

Read = dict[str, Any]
"""An event as GET /workflows/{id}/events tells it."""


class System:
    """`./run up` in a process of its own. Nothing here ever reaches a paid model."""

    def __init__(
        self, data: Path, *arguments: str, environment: Mapping[str, str] | None = None, nodes: int = NODES
    ) -> None:
        self.data, self._arguments, self._nodes = data, arguments, nodes
        self._words = data.parent / "up.err"
        # An empty value also unsets what a `.env` of the person who runs the tests may hold.
        unpaid = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", "TAVILY_API_KEY": "", "PRESSROOM_STANDIN_LATENCY_S": "0"}
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), **unpaid, **(environment or {})}
        self._process: subprocess.Popen[str] | None = None
        self.address = ""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Starts it and waits until it says that it is ready."""
        self._process = self._spawn()
        assert self._process.stdout
        line = await asyncio.to_thread(self._process.stdout.readline)
        assert line.startswith("Pressroom is ready at http://"), self._words.read_text()[-3000:]
        self.address = line.split()[-1]
        self.http = httpx2.AsyncClient(base_url=self.address, trust_env=False, timeout=30)
        self.standin = StandIn(f"http://127.0.0.1:{DataDirectory(self.data).port('stand-in')}")

    def _spawn(self) -> "subprocess.Popen[str]":
        where = ["--data", str(self.data), "--port", "0", "--nodes", str(self._nodes)]
        command = [sys.executable, "-m", "cli", "up", *where, *self._arguments]
        with self._words.open("a") as words:
            return subprocess.Popen(
                command, cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, stderr=words, text=True
            )

    async def stop(self) -> int:
        """Stops it as Ctrl-C does. -> its exit code"""
        assert self._process
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        code = await asyncio.to_thread(self._process.wait, 40)
        await self._hang_up()
        return code

    async def kill_everything(self) -> None:
        """Kills the supervisor and all its children at one moment, as a power cut of the machine's processes."""
        assert self._process
        pids = [self._process.pid, *(pid for pid, *_ in noted_processes(self.data / REGISTER).values())]
        for pid in pids:
            with suppress(ProcessLookupError):  # the kernel ends a child with its supervisor, maybe before us
                os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(self._process.wait)
        await self._hang_up()

    async def _hang_up(self) -> None:
        assert self._process and self._process.stdout
        self._process.stdout.close()
        await self.http.aclose()
        await self.standin.__aexit__()

    # ------------------------------------------------------------ its verbs

    def start_verb(self, verb: str, *arguments: str) -> "subprocess.Popen[str]":
        """`./run <verb>` beside the running system."""
        command = [sys.executable, "-m", "cli", verb, *arguments, "--data", str(self.data)]
        return subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    async def run_verb(self, verb: str, *arguments: str) -> tuple[int, str, str]:
        """Waits for its end. -> exit code, what it printed, and what it said on standard error"""
        process = self.start_verb(verb, *arguments)
        out, err = await asyncio.to_thread(process.communicate, timeout=120)
        return process.returncode, out, err

    # ------------------------------------------------------------ its processes

    def pid(self, name: str) -> int:
        """The process of this name, as `writer-1`."""
        return noted_processes(self.data / REGISTER)[name][0]

    def one_more(self, service: str) -> list[str]:
        """The command that adds a process of this service to the running system."""
        return [sys.executable, "-m", "cli", "service", service, "--data", str(self.data)]

    def nats_servers(self) -> list[str]:
        """The NATS server, or all three."""
        return node_names(DataDirectory(self.data))

    def a_nats_server(self) -> str:
        """Any one of them."""
        return random.choice(self.nats_servers())

    async def kill_and_see_it_back(self, name: str) -> None:
        """Kills a process and waits until the supervisor has started another in its place."""
        await self._end_and_see_it_back(name, signal.SIGKILL)

    async def stop_and_see_it_back(self, name: str) -> None:
        """Asks a process to go, as an operator does, and waits until another was started in its place."""
        await self._end_and_see_it_back(name, signal.SIGTERM)

    async def _end_and_see_it_back(self, name: str, number: signal.Signals) -> None:
        before = self.pid(name)
        os.kill(before, number)

        async def is_back() -> bool:
            return noted_processes(self.data / REGISTER).get(name, (before,))[0] != before

        await until(is_back, f"{name} is started again")

    # ------------------------------------------------------------ its workflows

    async def request(self, topic: str = "The history of tea", **wishes: Any) -> str:
        """Starts a workflow. -> its id"""
        answer = await self.http.post("/workflows", json={"topic": topic, **wishes})
        assert answer.status_code == 202, answer.text
        return answer.json()["workflow_id"]

    async def events(self, workflow_id: str) -> list[Read]:
        """What has happened in a workflow so far; nothing while the gateway is away."""
        try:
            answer = await self.http.get(f"/workflows/{workflow_id}/events", params={"format": "json"})
        except httpx2.TransportError:
            return []
        return answer.json()["events"] if answer.status_code == 200 else []

    async def until_event(self, workflow_id: str, event: str, **fields: Any) -> Read:
        """Waits for an event of this type with these fields. -> it"""

        async def look() -> Read | None:
            fitting = [
                one
                for one in await self.events(workflow_id)
                if one["event"] == event and all(one["data"].get(name) == value for name, value in fields.items())
            ]
            return fitting[0] if fitting else None

        return await until(look, f"{event} {fields} in {workflow_id}", within_s=120)

    async def until_closed(self, workflow_ids: Iterable[str], *, within_s: float = 150) -> dict[str, list[Read]]:
        """Waits until each of these has a terminal event. -> their events"""
        closed: dict[str, list[Read]] = {}

        async def look() -> bool:
            for workflow_id in [one for one in workflow_ids if one not in closed]:
                events = await self.events(workflow_id)
                if is_closed(events):
                    closed[workflow_id] = events
            return len(closed) == len(list(workflow_ids))

        await until(look, "every workflow is closed", within_s=within_s)
        return closed

    async def until_settled(self, topic: str, workflow_ids: Iterable[str]) -> None:
        """Waits until no model call about this topic runs, and every social post that was answered is recorded."""

        async def look() -> bool:
            calls = [call for call in await self.standin.calls() if topic in call.topic]
            posts = [
                one for key in workflow_ids for one in await self.events(key) if one["event"] == "social-post-written"
            ]
            return all(call.ended_at for call in calls) and len(posts) == sum(call.kind == "social" for call in calls)

        await until(look, f"nothing about {topic} is under way")

    async def watch(self, request: Mapping[str, Any]) -> tuple[list[Read], int | None]:
        """Sends a request over the old websocket. -> every frame until it is closed, and the code of the close"""
        async with websockets.connect(f"{self.address.replace('http', 'ws')}/content", proxy=None) as socket:
            await socket.send(json.dumps(request))
            frames = [json.loads(frame) async for frame in socket]
            return frames, socket.close_code


def is_closed(events: Iterable[Read]) -> bool:
    """Has the last run ended? A result that was paid for may stand behind the end."""
    turns = [one["event"] for one in events if one["event"] in TERMINAL or one["event"] == "workflow-resumed"]
    return bool(turns) and turns[-1] in TERMINAL


def as_recorded(events: Iterable[Read]) -> list[Recorded[Event]]:
    """Events as they were read, for the rules of a history (tests/simulation/rules.py)."""
    return [
        Recorded(
            event=EVENT_TYPES[one["event"]].model_validate_json(json.dumps(one["data"])),
            id=one["id"],
            key=WorkflowKey("local", one["workflow_id"]),
            service="",
            revision=one["revision"],
            position=one["position"],
            recorded_at=datetime.fromisoformat(one["ts"]),
            cause=one["cause"],
        )
        for one in events
    ]
