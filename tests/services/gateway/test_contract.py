"""The whole of `/openapi.json` held against a real gateway: Schemathesis asks whatever may be asked, and what may not.

It runs as a program of its own, so that its pytest plugin and its threads stay out of the other tests.
"""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from services.gateway.pages import POSITION_MAX
from tests.services.gateway.newsroom import Newsroom
from tests.services.gateway.read_tables import ReadTables

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = 50
"""Of each operation and phase, always the same ones; what the schema's limits suggest comes on top."""


async def filled(tables: ReadTables) -> None:
    """A few of each, so that lists have pages; and the tables as far as any position, as nobody should wait here."""
    for number in range(30):
        workflow_id = (await tables.add_workflow(topic=f"tea {number}"))["workflow_id"]
        await tables.add_source(workflow_id=workflow_id)
        await tables.add_blog_post(workflow_id=workflow_id, cited=[1])
        await tables.add_social_media_post(workflow_id=workflow_id)
        await tables.add_image(workflow_id=workflow_id)
        await tables.hold(workflow_id)
    await tables.reach(POSITION_MAX)


async def test_gateway_answers_as_its_documentation_says(
    reading_room: Newsroom, tables: ReadTables, tmp_path: Path
) -> None:
    await filled(tables)
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"http://{reading_room.place}/openapi.json"),
        *("--checks", "all", "--mode", "all", "--max-examples", str(EXAMPLES)),
        *("--generation-deterministic", "--no-color", "--warnings", "off"),
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
        cwd=tmp_path,  # it keeps what it finds beside itself
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await program.communicate()
    assert program.returncode == 0, told.decode(errors="replace")
