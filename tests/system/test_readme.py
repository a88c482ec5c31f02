"""What the README promises to newcomers, held to its word."""

import asyncio
import re
import sys

import pytest

from tests.system.system import ROOT, System

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("system")]


def blocks(language: str) -> list[str]:
    """The README's code blocks of this language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return [block for of_language, block in found if of_language == language]


async def test_the_client_in_the_readme_shows_what_the_readme_shows(system: System) -> None:
    (client,) = blocks("python")
    shown = next(block for block in blocks("") if block.startswith("progress_event"))
    address = f"{system.address.replace('http', 'ws')}/content"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", client, address, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    lines, promised = said.decode().splitlines(), shown.splitlines()
    assert lines[:-1] == promised[:-1]
    assert re.fullmatch(r"results - [0-9a-f-]{36}", lines[-1])


async def test_every_folder_that_the_readme_names_exists() -> None:
    layout = next(block for block in blocks("") if block.startswith("contracts/"))
    for name in re.findall(r"^([a-z]+)/?  ", layout, re.MULTILINE):
        assert (ROOT / name).exists(), name


async def test_every_read_that_the_readme_names_is_documented(system: System) -> None:
    readme = (ROOT / "README.md").read_text()
    table = readme.partition("## Find it again")[2].partition("Lists come in pages")[0]
    named = {nameless(path) for path in re.findall(r"`(/[^`?]+)`", table)}
    document = (await system.http.get("/openapi.json")).json()
    served = {nameless(path) for path, operations in document["paths"].items() if "get" in operations}
    assert named == served


def nameless(path: str) -> str:
    """The path, whatever its parameters are called."""
    return re.sub(r"\{[^}]*\}", "{}", path)
