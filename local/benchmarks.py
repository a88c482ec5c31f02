"""The benchmarks: which there are, and how one is run. They are the modules of `benchmarks` that run by themselves."""

import ast
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from local.services import ROOT

FOLDER = "benchmarks"
RUNS_BY_ITSELF = 'if __name__ == "__main__":'


class NoSuchBenchmark(Exception):
    """There is no benchmark of this name; the message names those that there are."""


def run_benchmark(name: str, arguments: Sequence[str]) -> NoReturn:
    """Becomes this benchmark, in the user's own folder and environment. Raises NoSuchBenchmark."""
    if name not in benchmarks():
        raise NoSuchBenchmark(f"There is no benchmark {name!r}. {in_words()}")
    environment = {"PYTHONPATH": str(ROOT), **os.environ}
    command = [sys.executable, "-P", "-m", f"{FOLDER}.{name}", *arguments]
    os.execve(sys.executable, command, environment)  # noqa: S606


def in_words() -> str:
    """What can be run, a line each."""
    known = benchmarks()
    if not known:
        return "There are no benchmarks here."
    width = max(map(len, known))
    lines = [f"    {name:<{width}}   {about}" for name, about in known.items()]
    return "\n".join(["These can be run with `./run bench NAME`:", *lines])


def benchmarks() -> dict[str, str]:
    """What can be run, and what each is about: the first line of its docstring."""
    found = find_spec(FOLDER)
    folders = found.submodule_search_locations or () if found else ()
    files = sorted(path for folder in folders for path in Path(folder).glob("*.py"))
    return {path.stem: first_line(text) for path in files if RUNS_BY_ITSELF in (text := path.read_text())}


def first_line(text: str) -> str:
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
