"""The whole of `/openapi.json` held against a real gateway: Schemathesis asks whatever may be asked, and what may not.

It runs as a program of its own, so that its pytest plugin and its threads stay out of the other tests.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest
import pytest_asyncio
from nats.aio.msg import Msg

from chassis import jetstream_store
from chassis.event_store import Conflict
from chassis.object_store import S3Store
from contracts import subjects
from contracts.envelope import decode
from contracts.events import WorkflowCompleted, WorkflowRequested, WorkflowResumed
from contracts.services import GATEWAY
from local.servers import Running, servers
from services.gateway.pages import POSITION_MAX
from tests.services.gateway.newsroom import Newsroom, Plant, newsroom, s3_settings
from tests.services.gateway.read_tables import ReadTables
from tests.services.gateway.refolder import refolding

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
        await tables.add_failed()
    await tables.reach(POSITION_MAX)


@asynccontextmanager
async def completing(room: Newsroom) -> AsyncGenerator[None]:
    """Closes every run as soon as it is opened, so that streams of events end."""

    async def complete(message: Msg) -> None:
        opened = decode(message.subject, message.headers or {}, message.data, position=0)
        run = opened.event.run if isinstance(opened.event, WorkflowResumed) else 1
        with suppress(Conflict):  # it was cancelled first
            await room.record(opened.key, WorkflowCompleted(run=run))

    connection = await room.connection(GATEWAY)
    opens = [
        await connection.subscribe(subjects.every_live(event), complete)
        for event in (WorkflowRequested, WorkflowResumed)
    ]
    yield
    for subscription in opens:
        await connection.unsubscribe(subscription)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def room(database: Running) -> AsyncGenerator[Newsroom]:
    """A gateway over a log of its own: whatever may be asked is asked here, also under the ids of other tests."""
    async with servers(nats=True, s3=True) as running:
        with closing(S3Store(s3_settings(running))) as gallery:
            plant = Plant(running.nats_url, dict(running.passwords), gallery)
            await plant.set_up()
            async with newsroom(plant, postgres_url=database.postgres_url(GATEWAY)) as room:
                yield room


async def test_gateway_answers_as_its_documentation_says(
    room: Newsroom, tables: ReadTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jetstream_store, "LAG_PAUSES_S", (0.01,))  # one server has no replica that could lag
    await filled(tables)
    async with completing(room), refolding(room):
        await hold_against_documentation(room, tmp_path)


async def hold_against_documentation(room: Newsroom, folder: Path) -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"http://{room.place}/openapi.json"),
        *("--checks", "all", "--mode", "all", "--max-examples", str(EXAMPLES)),
        *("--generation-deterministic", "--no-color", "--warnings", "off", "--request-timeout", "20"),
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
        cwd=folder,  # it keeps what it finds beside itself
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await program.communicate()
    assert program.returncode == 0, told.decode(errors="replace")
