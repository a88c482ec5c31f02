"""What the README and the documents beside it promise to newcomers, held to its word."""

import asyncio
import json
import re
import sys

import pytest

from contracts.websocket import FIRST_FRAMES, LATER_FRAMES
from services.gateway import problems
from tests.system.system import ROOT, System

pytestmark = pytest.mark.asyncio(loop_scope="session")


def blocks(language: str, document: str = "README.md") -> list[str]:
    """The document's code blocks of this language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)
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


async def test_the_client_that_never_misses_anything_tells_every_revision(system: System) -> None:
    (client,) = blocks("python", "docs/websocket.md")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", client, "Tea", f"{system.address.replace('http', 'ws')}/content"),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    lines = said.decode().splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(1, len(lines) + 1))
    assert lines[-1].endswith("Everything is there")


async def test_the_client_that_never_misses_anything_survives_a_gateway_that_hangs_up() -> None:
    (client,) = blocks("python", "docs/websocket.md")
    came: asyncio.Queue[None] = asyncio.Queue()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()
        came.put_nowait(None)

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", client, "Tea", f"ws://{host}:{port}/content"), stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(30):
            for _ in range(2):
                await came.get()
        process.kill()
        await process.wait()


async def test_every_frame_in_the_documents_is_understood() -> None:
    first, later = [[json.loads(line) for line in block.splitlines()] for block in blocks("json", "docs/websocket.md")]
    for frames, known in ((first, FIRST_FRAMES), (later, LATER_FRAMES)):
        assert [known[frame["type"]].model_validate(frame).type for frame in frames] == list(known)


async def test_every_code_of_a_problem_is_told() -> None:
    kinds = [kind for kind in vars(problems).values() if isinstance(kind, problems.Kind)]
    told = (ROOT / "docs/http.md").read_text().partition("## Errors")[2]
    assert not [kind.code for kind in kinds if f"`{kind.code}`" not in told]


async def test_every_folder_that_the_readme_names_exists() -> None:
    layout = next(block for block in blocks("") if block.startswith("contracts/"))
    for name in re.findall(r"^([a-z]+)/?  ", layout, re.MULTILINE):
        assert (ROOT / name).exists(), name


async def test_every_read_that_is_told_is_served(system: System) -> None:
    told = (ROOT / "docs/http.md").read_text()
    table = told.partition("## Reading")[2].partition("Lists come in pages")[0]
    named = {nameless(path) for path in re.findall(r"`(/[^`?]+)`", table)} - {"/health/live", "/health/ready"}
    document = (await system.http.get("/openapi.json")).json()
    served = {nameless(path) for path, operations in document["paths"].items() if "get" in operations}
    assert named | {"/workflows/{}/events"} == served


def nameless(path: str) -> str:
    """The path, whatever its parameters are called."""
    return re.sub(r"\{[^}]*\}", "{}", path)
