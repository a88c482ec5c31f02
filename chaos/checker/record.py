"""The record of a run: every file of its directory, read once and held to its shape."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from chaos.checker.log import Story, stories
from chaos.checker.shapes import (
    Answer,
    Append,
    Call,
    Canaries,
    Checkpoint,
    Consumer,
    Happening,
    Held,
    LogState,
    Object,
    Plan,
    Resources,
    Said,
    Seen,
    Stored,
)
from chassis.jetstream_log import Entry
from contracts.envelope import ID
from contracts.subjects import WorkflowKey
from services.projector.archive import digest

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

LOG, LOG_STATE = "log", "log-state.json"

Row = dict[str, Any]


class CannotBeChecked(Exception):
    """The run left too little behind: a file is missing, empty where it must not be, or not what it has to be."""


@dataclass(frozen=True)
class Text:
    """A text that somebody may have read: a log file, or a body."""

    name: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """All that a run left behind. `replicas`: the log of each node, where there are several."""

    plan: Plan
    happened: Sequence[Happening] = ()
    clients: Sequence[Said] = ()
    appends: Sequence[Append] = ()
    calls: Sequence[Call] = ()
    answers: Sequence[Answer] = ()
    log: Sequence[Entry] = ()
    log_states: Mapping[str, LogState] = field(default_factory=dict[str, LogState])
    replicas: Mapping[str, Sequence[Entry]] = field(default_factory=dict[str, Sequence[Entry]])
    archive: Sequence[tuple[Entry, str]] = ()
    """Each copy, and the hash that is archived with it."""
    set_aside: Sequence[Entry] = ()
    """What a restore of the log found behind the archived events, whether it stands in the log again or not."""
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict[str, Sequence[Row]])
    checkpoint: Checkpoint
    checkpoints: Sequence[Seen] = ()
    quarantine: Sequence[Held] = ()
    objects: Sequence[Object] = ()
    consumers: Mapping[str, Consumer] = field(default_factory=dict[str, Consumer])
    resources: Sequence[Resources] = ()
    canaries: Canaries
    texts: Sequence[Text] = ()
    """Log files and bodies: what operators and strangers read."""

    @cached_property
    def stories(self) -> Mapping[WorkflowKey, Story]:
        """The workflows of the log."""
        return stories(self.log)

    @cached_property
    def by_workflow_id(self) -> Mapping[str, Story]:
        """The workflows by the id that clients know."""
        return {key.workflow_id: story for key, story in self.stories.items()}

    @cached_property
    def began_at(self) -> float:
        """When the run began; times are told from there."""
        return min((one.at for one in (*self.happened, *self.clients)), default=0.0)

    @cached_property
    def calm_at(self) -> float:
        """When all faults were over."""
        return max((one.at for one in self.happened if one.kind == "calm"), default=self.began_at)

    @cached_property
    def stored_at(self) -> Mapping[str, float]:
        """When each event was acknowledged to its writer, by the one clock of the proxies; by the event's id."""
        return {one.ce_id: one.at for one in self.appends if one.phase == "acked" and one.ce_id}


# ---------------------------------------------------------------- reading it


def read_record(folder: Path) -> Record:
    """The record in this directory. Raises CannotBeChecked."""
    return _Folder(folder).record()


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def record(self) -> Record:
        plan = self._one("plan.json", Plan)
        log = self._entries("log.jsonl")
        return Record(
            plan=plan,
            happened=self._happened(),
            clients=self._lines("clients.jsonl", Said),
            appends=self._lines("appends.jsonl", Append),
            calls=self._lines("calls.jsonl", Call),
            answers=self._lines("answers.jsonl", Answer),
            log=log,
            log_states=self._log_states(),
            replicas={
                f"node {node}": self._entries(f"log-{node}.jsonl")
                for node in range(1, plan.nodes + 1)
                if plan.nodes > 1
            },
            archive=[(_entry(one), one.sha256) for one in self._lines("archive.jsonl", Stored)],
            set_aside=[_entry(one) for one in self._lines("set-aside.jsonl", Stored, may_be_empty=True)],
            tables=self._value("tables.json", dict[str, list[Row]]),
            checkpoint=self._one("checkpoint.json", Checkpoint),
            checkpoints=self._lines("checkpoints.jsonl", Seen),
            quarantine=self._value("quarantine.json", list[Held]),
            objects=self._lines("objects.jsonl", Object, may_be_empty=not _has_pictures(log)),
            consumers=self._value("consumers.json", dict[str, Consumer]),
            resources=self._lines("resources.jsonl", Resources),
            canaries=self._one("canaries.json", Canaries),
            texts=[*self._logs(), *self._bodies()],
        )

    def _happened(self) -> list[Happening]:
        happened = self._lines("happened.jsonl", Happening)
        for word in ("calm", "end"):
            if not any(one.kind == word for one in happened):
                raise CannotBeChecked(f"happened.jsonl tells of no `{word}`: the run did not come to its end")
        return happened

    def _log_states(self) -> dict[str, LogState]:
        """One state, or one by node."""
        told = self._value(LOG_STATE, dict[str, Any])
        by_name = {LOG: told} if "epoch" in told else told
        nested = by_name.pop("nodes", None) or {}
        if LOG in by_name:
            nested |= {name: by_name[LOG].pop(name) for name in [*by_name[LOG]] if isinstance(by_name[LOG][name], dict)}
        try:
            return TypeAdapter(dict[str, LogState]).validate_python({**by_name, **nested})
        except ValidationError as wrong:
            raise CannotBeChecked(f"{LOG_STATE}: {_words(wrong)}") from wrong

    def _entries(self, name: str) -> list[Entry]:
        """The messages, each held against its own hash: what was written down wrongly cannot be judged."""
        entries: list[Entry] = []
        for one in self._lines(name, Stored):
            entry = _entry(one)
            if digest(entry).hex() != one.sha256:
                raise CannotBeChecked(f"{name}: the message at position {one.position} does not have the hash it names")
            entries.append(entry)
        return entries

    def _logs(self) -> list[Text]:
        files = sorted(path for path in (self._folder / "logs").rglob("*") if path.is_file())
        if not any(path.stat().st_size for path in files):
            raise CannotBeChecked("logs/ is missing or empty")
        return [Text(f"logs/{path.name}", path.read_text(errors="replace")) for path in files]

    def _bodies(self) -> list[Text]:
        path = self._folder / "bodies.jsonl"
        if not path.exists():
            raise CannotBeChecked("bodies.jsonl is missing")
        return [Text(f"bodies.jsonl, line {number}", line) for number, line in enumerate(_lines_of(path), start=1)]

    def _lines(self, name: str, shape: type[M], *, may_be_empty: bool = False) -> list[M]:
        lines = _lines_of(self._existing(name))
        if not lines and not may_be_empty:
            raise CannotBeChecked(f"{name} is empty")
        try:
            return [shape.model_validate_json(line) for line in lines]
        except ValidationError as wrong:
            raise CannotBeChecked(f"{name}: {_words(wrong)}") from wrong

    def _one(self, name: str, shape: type[M]) -> M:
        return self._value(name, shape)

    def _value(self, name: str, shape: type[T]) -> T:
        try:
            return TypeAdapter(shape).validate_json(self._existing(name).read_bytes())
        except ValidationError as wrong:
            raise CannotBeChecked(f"{name}: {_words(wrong)}") from wrong

    def _existing(self, name: str) -> Path:
        path = self._folder / name
        if not path.is_file():
            raise CannotBeChecked(f"{name} is missing")
        return path


def _lines_of(path: Path) -> list[str]:
    """Lines end with a line feed alone: a text may hold what Unicode takes for the end of one."""
    return [line for line in path.read_text(errors="replace").split("\n") if line.strip()]


def _entry(stored: Stored) -> Entry:
    try:
        return Entry(stored.position, stored.subject, stored.headers, base64.b64decode(stored.body, validate=True))
    except binascii.Error as wrong:
        raise CannotBeChecked(f"the body at position {stored.position} is not base64") from wrong


def _has_pictures(log: Sequence[Entry]) -> bool:
    return any(".illustration-drawn." in entry.subject for entry in log)


def _words(wrong: ValidationError) -> str:
    problem = wrong.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, problem['loc'])) or 'a line'}: {problem['msg']}"


def event_id(entry: Entry) -> str:
    """The id that the writer gave the event."""
    return entry.headers.get(ID, "")


def as_json(text: Any) -> Any:
    """The value in this text, where it is JSON; else the text itself."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text
