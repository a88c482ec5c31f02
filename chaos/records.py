"""The run directory's files of lines: one JSON object a line, each written at once."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LOG_LINES = ("happened", "clients", "appends", "answers", "checkpoints", "resources", "bodies")


class Records:
    """What was seen and done, as it happens."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.say = folder, say
        self._began = time.monotonic()
        self._files = {name: (folder / f"{name}.jsonl").open("w", buffering=1) for name in LOG_LINES}

    def write(self, name: str, **line: Any) -> None:
        """Adds a line, with the time."""
        file = self._files[name]
        if not file.closed:
            file.write(json.dumps({"at": time.time(), **line}) + "\n")

    def whole(self, name: str, value: Any) -> None:
        """A file that is one JSON value."""
        (self.folder / name).write_text(json.dumps(value, indent=1))

    def lines(self, name: str, values: list[dict[str, Any]]) -> None:
        """A file of lines that are all known now."""
        (self.folder / name).write_text("".join(json.dumps(value) + "\n" for value in values))

    def happened(self, step: int | None, kind: str, target: str, phase: str, detail: str) -> None:
        """What became of a fault, for the file and for whoever watches."""
        self.write("happened", step=step, kind=kind, target=target, phase=phase, detail=detail)
        number = "" if step is None else f"{step:>3} "
        self.say(f"{time.monotonic() - self._began:6.1f} s  {number:<4}{kind:<20} {target:<14} {phase:<8} {detail}")

    def moment(self, kind: str) -> None:
        """`calm` and `end`."""
        self.write("happened", kind=kind)
        self.say(f"{time.monotonic() - self._began:6.1f} s      {kind}")

    def close(self) -> None:
        """What comes later is not kept."""
        for file in self._files.values():
            file.close()
