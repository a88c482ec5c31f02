"""What docker-compose.yml starts does its work: set up from nothing, a topic to completion by three writers, a stop."""

import io
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from minio import Minio
from minio.error import S3Error

from local.servers import temporary_folder
from local.services import answers_ok
from local.state import LOCALHOST
from tests.deploy.composed import OURS, ROOT, SET_UPS, env_file, make_env
from tests.deploy.containers import Containers
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROCESSES = (*(f"{name}-1" for name in OURS), "writer-2", "writer-3")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def containers() -> AsyncGenerator[Containers]:
    """All of it, set up and healthy, with three writers."""
    with temporary_folder() as folder:
        make_env(folder / ".env")
        variables = env_file(folder / ".env") | {"PRESSROOM_STANDIN_LATENCY_S": "0"}
        async with Containers(folder, variables) as running:
            for place in (running.nats_health, running.s3_health):
                await until(lambda place=place: answers_ok(*place), f"{place} is healthy")
            assert await running.set_up() == dict.fromkeys(SET_UPS, 0), running.words()
            for name in ("stand-in-1", *PROCESSES):
                running.start(*name.rsplit("-", 1))
            for name in ("stand-in-1", *PROCESSES):
                await running.until_healthy(name)
            yield running


async def test_a_topic_becomes_content(containers: Containers) -> None:
    async with httpx2.AsyncClient(base_url=f"http://{LOCALHOST}:{containers.port}", trust_env=False) as http:
        wish = {"topic": "The history of tea", "research": True, "platforms": ["linkedin", "x"]}
        asked = await http.post("/workflows", json=wish)
        assert asked.status_code == 202, asked.text
        address = f"/workflows/{asked.json()['workflow_id']}"
        made = await until(lambda: completed(http, address), "the workflow is completed")
        assert [len(made[kind]) for kind in ("blog_posts", "social_media_posts", "images")] == [1, 2, 1]
        picture = await http.get(made["images"][0]["picture"])
        assert picture.headers["content-type"].startswith("image/")


async def test_set_up_can_run_again_beside_the_services(containers: Containers) -> None:
    assert await containers.set_up() == dict.fromkeys(SET_UPS, 0), containers.words()


async def test_the_gateway_can_read_pictures_and_store_none(containers: Containers) -> None:
    told = containers.environment("gateway-1")
    store = Minio(
        told["PRESSROOM_S3_ENDPOINT"], told["PRESSROOM_S3_ACCESS_KEY"], told["PRESSROOM_S3_SECRET_KEY"], secure=False
    )
    bucket = told["PRESSROOM_S3_BUCKET"]
    assert store.bucket_exists(bucket_name=bucket)
    with pytest.raises(S3Error) as refused:
        store.put_object(bucket_name=bucket, object_name="mine", data=io.BytesIO(b"?"), length=1)
    assert refused.value.code == "AccessDenied"


@pytest.mark.parametrize("task", ["rebuild", "verify"])
async def test_the_projectors_tasks_run_in_its_container(containers: Containers, task: str) -> None:
    promised = f"docker compose run --rm --no-deps projector python -m services.projector.{task}\n"
    assert promised in (ROOT / "docs" / "containers.md").read_text()
    assert await containers.task("projector", f"services.projector.{task}") == 0, containers.words()


async def test_every_process_stops_cleanly_within_its_grace(containers: Containers) -> None:
    assert await containers.stop() == dict.fromkeys(PROCESSES, 0)


async def completed(http: httpx2.AsyncClient, address: str) -> dict[str, Any] | None:
    answer = await http.get(address)
    told = answer.json()
    return told if answer.status_code == 200 and told["status"] == "completed" else None
