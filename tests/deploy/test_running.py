"""What docker-compose.yml starts does its work: set up from nothing, a topic to completion by three writers, a stop."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

from local.servers import temporary_folder
from local.services import answers_ok
from local.state import LOCALHOST
from tests.deploy.composed import OURS, SET_UPS, env_file, make_env
from tests.deploy.containers import Containers
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("system")


@pytest.fixture
async def containers() -> AsyncGenerator[Containers]:
    with temporary_folder() as folder:
        make_env(folder / ".env")
        variables = env_file(folder / ".env") | {"PRESSROOM_STANDIN_LATENCY_S": "0"}
        async with Containers(folder, variables) as running:
            yield running


async def test_a_topic_becomes_content_and_everything_stops_cleanly(containers: Containers) -> None:
    for place in (containers.nats_health, containers.s3_health):
        await until(lambda place=place: answers_ok(*place), f"{place} is healthy")
    for _ in ("the first start", "every other one"):
        assert await containers.set_up() == dict.fromkeys(SET_UPS, 0), containers.words()
    names = [*(f"{name}-1" for name in OURS), "writer-2", "writer-3"]
    for name in ("stand-in-1", *names):
        containers.start(*name.rsplit("-", 1))
    for name in ("stand-in-1", *names):
        await containers.until_healthy(name)

    async with httpx2.AsyncClient(base_url=f"http://{LOCALHOST}:{containers.port}", trust_env=False) as http:
        wish = {"topic": "The history of tea", "research": True, "platforms": ["linkedin", "x"]}
        asked = await http.post("/workflows", json=wish)
        assert asked.status_code == 202, asked.text
        address = f"/workflows/{asked.json()['workflow_id']}"
        made = await until(lambda: completed(http, address), "the workflow is completed")
        assert [len(made[kind]) for kind in ("blog_posts", "social_media_posts", "images")] == [1, 2, 1]
        picture = await http.get(made["images"][0]["picture"])
        assert picture.headers["content-type"].startswith("image/")

    assert await containers.stop() == dict.fromkeys(names, 0)


async def completed(http: httpx2.AsyncClient, address: str) -> dict[str, Any] | None:
    answer = await http.get(address)
    told = answer.json()
    return told if answer.status_code == 200 and told["status"] == "completed" else None
