"""Reading a run's directory: what is missing, empty or wrong is said, and nothing is passed over in silence."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from chaos.checker.__main__ import verdict
from chaos.checker.invariants import CHECKS
from chaos.checker.record import CannotBeChecked, Record, read_record
from chaos.checker.shapes import Plan
from chassis.jetstream_log import Entry
from services.projector.archive import digest
from tests.chaos.checker.given import WHOLE, a_run
from tests.contracts.given import cancelled

MUST_BE_THERE = (
    "plan.json",
    "happened.jsonl",
    "clients.jsonl",
    "appends.jsonl",
    "calls.jsonl",
    "answers.jsonl",
    "log.jsonl",
    "log-state.json",
    "archive.jsonl",
    "tables.json",
    "checkpoint.json",
    "checkpoints.jsonl",
    "quarantine.json",
    "objects.jsonl",
    "consumers.json",
    "resources.jsonl",
    "canaries.json",
    "bodies.jsonl",
    "set-aside.jsonl",
)
MAY_BE_EMPTY = ("bodies.jsonl", "set-aside.jsonl")


def stored(entry: Entry) -> dict[str, Any]:
    return {
        "position": entry.position,
        "subject": entry.subject,
        "headers": dict(entry.headers),
        "body": base64.b64encode(entry.body).decode(),
        "sha256": digest(entry).hex(),
    }


def write(folder: Path, record: Record) -> Path:
    """The directory that such a run leaves behind."""
    one = {"plan.json": record.plan, "checkpoint.json": record.checkpoint, "canaries.json": record.canaries}
    for name, value in one.items():
        (folder / name).write_text(value.model_dump_json())
    lines: Mapping[str, Any] = {
        "happened": record.happened,
        "clients": record.clients,
        "appends": record.appends,
        "calls": record.calls,
        "answers": record.answers,
        "log": [stored(entry) for entry in record.log],
        "archive": [stored(entry) for entry, _ in record.archive],
        "set-aside": [stored(entry) for entry in record.set_aside],
        "checkpoints": record.checkpoints,
        "objects": record.objects,
        "resources": record.resources,
        "bodies": [{"path": "/workflows", "status": 503, "body": "try again"}],
    }
    for name, found in lines.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(plain(line))}\n" for line in found))
    whole: Mapping[str, Any] = {
        "log-state": plain(record.log_states["log"]),
        "tables": record.tables,
        "quarantine": [plain(one) for one in record.quarantine],
        "consumers": {stage: plain(one) for stage, one in record.consumers.items()},
    }
    for name, value in whole.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    (folder / "logs").mkdir()
    (folder / "logs" / "writer-1.log").write_text("ready\n")
    return folder


def plain(line: Any) -> Any:
    return line.model_dump(mode="json") if isinstance(line, BaseModel) else line


def test_run_in_which_all_holds_is_read_and_ends_with_0(tmp_path: Path) -> None:
    code, told = verdict(write(tmp_path, a_run()))
    assert code == 0, told
    assert [line.split()[:2] for line in told[: len(CHECKS)]] == [["ok", str(number)] for number in range(1, 15)]
    assert told[-2].startswith("Paid twice: 0 of 4 calls (0.00%")


def test_broken_run_ends_with_1_and_shows_why(tmp_path: Path) -> None:
    code, told = verdict(write(tmp_path, a_run(WHOLE[:-1])))
    assert code == 1
    assert told[0].startswith("BROKEN  1") and "never ended" in told[1] and "position 1" in told[2]


@pytest.mark.parametrize("name", MUST_BE_THERE)
def test_missing_file_is_said(name: str, tmp_path: Path) -> None:
    (write(tmp_path, a_run()) / name).unlink()
    code, told = verdict(tmp_path)
    assert code == 2 and name in told[0]


@pytest.mark.parametrize("name", [name for name in MUST_BE_THERE if name not in MAY_BE_EMPTY])
def test_empty_file_is_said(name: str, tmp_path: Path) -> None:
    (write(tmp_path, a_run()) / name).write_text("")
    code, told = verdict(tmp_path)
    assert code == 2 and name in told[0]


def test_run_without_logs_is_said(tmp_path: Path) -> None:
    (write(tmp_path, a_run()) / "logs" / "writer-1.log").unlink()
    with pytest.raises(CannotBeChecked, match="logs/"):
        read_record(tmp_path)


def test_run_that_did_not_come_to_its_end_is_said(tmp_path: Path) -> None:
    record = a_run()
    write(tmp_path, a_run(happened=[one for one in record.happened if one.kind != "end"]))
    with pytest.raises(CannotBeChecked, match="`end`"):
        read_record(tmp_path)


def test_message_that_was_written_down_wrongly_is_said(tmp_path: Path) -> None:
    log = write(tmp_path, a_run()) / "log.jsonl"
    first, *rest = log.read_text().splitlines()
    other = json.dumps({**json.loads(first), "sha256": "00"})
    log.write_text("\n".join([other, *rest]))
    with pytest.raises(CannotBeChecked, match="position 1 does not have the hash"):
        read_record(tmp_path)


def test_run_without_pictures_needs_no_objects(tmp_path: Path) -> None:
    events = [*WHOLE[:5], cancelled()]
    code, told = verdict(write(tmp_path, a_run(events)))
    assert code == 0, told
    assert "idle    8" in "\n".join(told)


def test_three_nodes_have_three_logs(tmp_path: Path) -> None:
    record = a_run(plan=Plan(seed=1, workflows=1, faults=(), nodes=3))
    write(tmp_path, record)
    state = plain(record.log_states["log"])
    (tmp_path / "log-state.json").write_text(json.dumps({f"node-{node}": state for node in (1, 2, 3)}))
    for node in (1, 2, 3):
        (tmp_path / f"log-{node}.jsonl").write_text((tmp_path / "log.jsonl").read_text())
    assert len(read_record(tmp_path).replicas) == 3
    (tmp_path / "log-2.jsonl").unlink()
    with pytest.raises(CannotBeChecked, match=r"log-2\.jsonl is missing"):
        read_record(tmp_path)
