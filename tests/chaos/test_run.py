"""One short run of the command: two faults, three workflows, every file for the checker, and what it says of them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from local.servers import temporary_folder
from local.services import ROOT

LINES = (
    "happened",
    "clients",
    "appends",
    "answers",
    "calls",
    "log",
    "archive",
    "checkpoints",
    "objects",
    "resources",
    "bodies",
)
VALUES = ("plan", "log-state", "tables", "checkpoint", "quarantine", "consumers", "canaries")


async def start(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    """`./run chaos` on this folder."""
    command = (
        sys.executable,
        "-m",
        "cli",
        "chaos",
        "--seed",
        "2",
        "--workflows",
        "3",
        "--latency",
        "0.1",
    )
    return await asyncio.create_subprocess_exec(
        *command,
        *arguments,
        "--keep",
        folder,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "run" / f"{name}.jsonl").read_text().splitlines()]


def value(folder: Path, name: str) -> Any:
    return json.loads((folder / "run" / f"{name}.json").read_text())


async def test_a_short_run_fires_its_faults_and_all_that_was_seen_is_kept_and_judged() -> None:
    with temporary_folder() as folder:
        process = await start(folder, "--faults", "claim,nats-killed")
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        fired = [one["kind"] for one in lines(folder, "happened") if one.get("phase") == "fired"]
        assert sorted(fired) == ["claim", "nats-killed"], said.decode()
        assert [one["kind"] for one in lines(folder, "happened") if "phase" not in one] == ["calm", "end"]
        assert [name for name in LINES if not lines(folder, name)] == []
        assert [name for name in VALUES if not (folder / "run" / f"{name}.json").read_text()] == []
        check(folder)
        assert "All invariants hold." in (folder / "run" / "verdict.txt").read_text()
        assert "never fired" not in said.decode()
        assert "./run chaos --seed 2 --workflows 3 --faults claim,nats-killed" in said.decode()


def check(folder: Path) -> None:
    """What was written down belongs together."""
    log = lines(folder, "log")
    assert [entry["position"] for entry in log] == list(range(1, value(folder, "log-state")["last"] + 1))
    assert [entry["sha256"] for entry in lines(folder, "archive")] == [entry["sha256"] for entry in log]
    acked = {append["position"] for append in lines(folder, "appends") if append["phase"] == "acked"}
    assert acked <= {entry["position"] for entry in log}
    assert value(folder, "checkpoint")["position"] == len(log)
    assert {row["status"] for row in value(folder, "tables")["workflows"]} <= {"completed", "cancelled"}
    assert all(one["pending"] == one["ack_pending"] == 0 for one in value(folder, "consumers").values())
    assert {one["when"] for one in lines(folder, "resources")} == {"before", "during", "after"}
    assert all(call["topic"] for call in lines(folder, "calls"))
    operator = [(one["op"], one["phase"]) for one in lines(folder, "clients") if one["client"] == "operator"]
    assert operator == [("parked", "ok"), ("redrive", "ok"), ("parked", "ok")]
    assert (folder / "run" / "logs" / "writer-1.log").stat().st_size


@pytest.mark.long
async def test_point_that_the_clients_do_not_reach_is_reached_by_more_workflows() -> None:
    with temporary_folder() as folder:
        process = await start(folder, "--faults", "s3-wrong-bytes,upload", "--workflows", "1")
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        assert {one["kind"] for one in lines(folder, "happened") if one.get("phase") == "fired"} == {
            "s3-wrong-bytes",
            "upload",
        }
        topics = [one["body"]["topic"] for one in lines(folder, "clients") if one["op"] == "request" and "body" in one]
        assert any("asked for by a fault" in topic for topic in topics)


async def test_folder_with_a_run_is_left_as_it_is() -> None:
    with temporary_folder() as folder:
        (folder / "run").mkdir()
        process = await start(folder, "--faults", "claim")
        said, _ = await process.communicate()
        assert (process.returncode, [*folder.rglob("*")]) == (2, [folder / "run"])
        assert "holds a run already" in said.decode()


@pytest.mark.long
async def test_ctrl_c_stops_everything() -> None:
    with temporary_folder() as folder:
        process = await start(folder, "--faults", "kills")
        assert process.stdout
        while b"runs at" not in await process.stdout.readline():
            pass
        register = json.loads((folder / "data" / "processes.json").read_text())
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
        assert [name for name, (pid, _) in register.items() if psutil.pid_exists(pid)] == []
