"""The project's own files, as the architecture tests read them."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("contracts", "chassis", "services", "local", "cli", "deploy", "tests", "benchmarks", "chaos", "fuzz", "worked")


@cache
def committed_files() -> tuple[Path, ...]:
    """Every file that is, or would be, committed; all files where git is not at hand."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return tuple(path for name in listed if (path := ROOT / name).is_file())


def python_files(*rooms: str) -> list[Path]:
    """The Python files of these rooms, all rooms by default."""
    wanted = rooms or ROOMS
    return [path for path in committed_files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in wanted]


@cache
def tree(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(path.read_text())


def imports(path: Path) -> Iterator[str]:
    """The modules that the file imports, by their full names."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            folder = ".".join(path.relative_to(ROOT).parts[: -node.level]) if node.level else ""
            yield ".".join(filter(None, (folder, node.module)))


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line and value of every text in the code, the literal parts of f-strings among them, docstrings not."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def place(path: Path, line: int | None = None) -> str:
    """The file, and a line, as people name it."""
    return str(path.relative_to(ROOT)) + (f":{line}" if line else "")
