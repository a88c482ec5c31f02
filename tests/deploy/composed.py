"""docker-compose.yml, .env and the Dockerfile as Docker reads them, as far as these files go."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).resolve().parents[2]
OURS = ("gateway", "research", "writer", "illustrator", "projector")
SET_UPS = ("set-up-log", "set-up-roles", "set-up-tables", "set-up-pictures")

Service = dict[str, Any]


class NotSet(Exception):
    """A variable that has to be set is not; the message is the one that Compose would show."""


def composed(environment: Mapping[str, str]) -> dict[str, Any]:
    """The file with every variable in its place. Raises NotSet."""
    text = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return cast(dict[str, Any], _interpolated_all(text, environment))


def written() -> dict[str, Any]:
    """The file as it is written, with its variables."""
    return cast(dict[str, Any], yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


def env_file(path: Path) -> dict[str, str]:
    """What an .env says: NAME=value, a line each."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def make_env(path: Path) -> str:
    """Has deploy/make-env complete this file. -> what it says"""
    command = [sys.executable, ROOT / "deploy" / "make-env", path]
    return subprocess.run(command, check=True, capture_output=True, text=True).stderr


def _interpolated_all(value: object, environment: Mapping[str, str]) -> object:
    match value:
        case str():
            return interpolated(value, environment)
        case dict():
            parts = cast(dict[str, object], value)
            return {name: _interpolated_all(part, environment) for name, part in parts.items()}
        case list():
            return [_interpolated_all(part, environment) for part in cast(list[object], value)]
        case _:
            return value


def interpolated(text: str, environment: Mapping[str, str]) -> str:
    """${NAME}, ${NAME:-default}, ${NAME:+instead} and ${NAME:?message}, one within the other too."""
    done = ""
    while (start := text.find("${")) >= 0:
        end = _closing(text, start + 2)
        done += text[:start] + _valued(text[start + 2 : end], environment)
        text = text[end + 1 :]
    return done + text


def _closing(text: str, start: int) -> int:
    depth = 1
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return place
    raise ValueError(text)


def _valued(expression: str, environment: Mapping[str, str]) -> str:
    found = re.fullmatch(r"(\w+)(?:(:[-+?])(.*))?", expression, re.DOTALL)
    assert found, expression
    name, operator, rest = found.groups()
    value = environment.get(name, "")
    rest = interpolated(rest or "", environment)  # whether it is used or not: Compose insists on what is in it
    match operator:
        case ":-":
            return value or rest
        case ":+":
            return rest if value else ""
        case ":?" if not value:
            raise NotSet(rest)
        case _:
            return value


# ---------------------------------------------------------------- the Dockerfile


@dataclass(frozen=True)
class Stage:
    """One stage of the Dockerfile: its instructions, those of the stage it is built on first."""

    instructions: tuple[tuple[str, str], ...]

    def all(self, word: str) -> list[str]:
        """What stands behind each of these instructions."""
        return [rest for found, rest in self.instructions if found == word]

    @property
    def variables(self) -> dict[str, str]:
        """Its ENV, with what the base image has in PATH left out."""
        pairs = [pair.partition("=") for line in self.all("ENV") for pair in line.split()]
        return {name: value for name, _, value in pairs if name != "PATH"}

    def copied(self) -> list[tuple[list[str], str]]:
        """Each COPY of the repository's own files: what, and to where in the image's folder."""
        lines = [line.split() for line in self.all("COPY") if not line.startswith("--from")]
        return [(words[:-1], words[-1]) for words in lines]


def dockerfile() -> dict[str, Stage]:
    """The stages by name, in order."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE))
    stages: dict[str, Stage] = {}
    name, lines = "", list[tuple[str, str]]()
    for word, rest in (line.split(maxsplit=1) for line in text.splitlines() if line.strip()):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            lines = list(stages[base].instructions) if base in stages else []
        lines.append((word, rest))
        stages[name] = Stage(tuple(lines))
    return stages


def fill(folder: Path, stage: Stage) -> None:
    """Copies into the folder what the stage has in its own, and nothing else."""
    for sources, target in stage.copied():
        for source in sources:
            place = folder / target / (Path(source).name if target.endswith("/") else "")
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, place)
