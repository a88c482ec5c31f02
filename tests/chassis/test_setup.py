"""The set-up step on a real server: safe to repeat, changes what can be changed, and says clearly what cannot."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from chassis.event_store import StoreUnavailable
from chassis.jetstream_log import BUCKET, JetStreamLog
from chassis.jetstream_store import STREAM
from chassis.setup import TopologyConflict, reconcile
from chassis.topology import SET_UP, stream
from contracts.services import PROJECTOR, STAGES, WRITER
from contracts.subjects import WorkflowKey
from tests.chassis.plant import Plant, append_by_id, claimed

ROOT = Path(__file__).resolve().parents[2]
CREATED = [
    f"created the stream {BUCKET}",
    "the log's id is …",
    f"created the stream {STREAM}",
    *(f"created the consumer {stage}" for stage in STAGES),
]
MIB = 1024**2


def nameless(lines: list[str]) -> list[str]:
    """What was done, whichever id the log got."""
    return [re.sub(r"[0-9a-f-]{36}$", "…", line) for line in lines]


async def epoch(plant: Plant) -> str:
    """The log's id, as the projector reads it."""
    return await JetStreamLog(await plant.connect(PROJECTOR)).epoch()


async def test_first_run_creates_and_second_does_nothing(bare_plant: Plant) -> None:
    assert nameless(await bare_plant.set_up()) == CREATED
    assert await bare_plant.set_up() == []


class TestIdOfTheLog:
    async def test_log_keeps_its_id(self, own_plant: Plant) -> None:
        first = await epoch(own_plant)
        await own_plant.set_up(log_bytes_max=20 * MIB)
        assert await epoch(own_plant) == first

    async def test_log_that_is_made_anew_gets_another_id(self, own_plant: Plant) -> None:
        first = await epoch(own_plant)
        await own_plant.api(f"STREAM.DELETE.{STREAM}")
        await own_plant.set_up()
        assert await epoch(own_plant) != first

    async def test_log_without_an_id_gets_one(self, own_plant: Plant) -> None:
        await own_plant.api(f"STREAM.DELETE.{BUCKET}")
        assert nameless(await own_plant.set_up()) == CREATED[:2]
        assert await epoch(own_plant)

    async def test_several_set_ups_at_once_give_one(self, bare_plant: Plant) -> None:
        connections = [await bare_plant.connect(SET_UP) for _ in range(8)]
        runs = await asyncio.gather(*(reconcile(one, bare_plant.settings()) for one in connections))
        assert [line for run in runs for line in run if "id is" in line] == [
            f"the log's id is {await epoch(bare_plant)}"
        ]

    async def test_several_set_ups_of_a_log_made_anew_give_one(self, own_plant: Plant) -> None:
        first = await epoch(own_plant)
        await own_plant.api(f"STREAM.DELETE.{STREAM}")
        connections = [await own_plant.connect(SET_UP) for _ in range(8)]
        runs = await asyncio.gather(*(reconcile(one, own_plant.settings()) for one in connections))
        assert [line for run in runs for line in run if "id is" in line] == [
            f"the log's id is {await epoch(own_plant)}"
        ]
        assert await epoch(own_plant) != first

    async def test_id_of_a_log_that_is_just_being_made_is_taken(self, own_plant: Plant) -> None:
        first = await epoch(own_plant)
        log = (await own_plant.api(f"STREAM.INFO.{STREAM}"))["config"]
        await own_plant.api(f"STREAM.DELETE.{STREAM}")
        late = asyncio.create_task(own_plant.set_up())
        await own_plant.api(f"STREAM.CREATE.{STREAM}", log)
        assert await late == [f"created the consumer {stage}" for stage in STAGES]
        assert await epoch(own_plant) == first

    async def test_log_that_is_not_set_up_has_none(self, bare_plant: Plant) -> None:
        with pytest.raises(StoreUnavailable):
            await epoch(bare_plant)


async def test_what_was_deleted_is_made_again(own_plant: Plant) -> None:
    await own_plant.api(f"CONSUMER.DELETE.{STREAM}.{WRITER}")
    assert await own_plant.set_up() == [f"created the consumer {WRITER}"]


class TestWhatCanBeChanged:
    async def test_ack_wait_is_changed_in_place(self, own_plant: Plant) -> None:
        assert await own_plant.set_up(ack_wait_s=7) == [f"changed the consumer {stage}" for stage in STAGES]
        info = await own_plant.api(f"CONSUMER.INFO.{STREAM}.{WRITER}")
        assert info["config"]["ack_wait"] == 7 * 10**9

    async def test_size_is_changed_and_both_values_told(self, own_plant: Plant, key: WorkflowKey) -> None:
        store = await own_plant.store(WRITER)
        await append_by_id(store, key, claimed(), id="one")
        (done,) = await own_plant.set_up(log_bytes_max=20 * MIB)
        assert done == f"changed the stream {STREAM}: max_bytes is {1024 * MIB}, wanted {20 * MIB}"
        assert (await own_plant.api(f"STREAM.INFO.{STREAM}"))["config"]["max_bytes"] == 20 * MIB
        assert (await store.read(key)).revision == 1

    async def test_settings_that_others_added_are_kept(self, own_plant: Plant) -> None:
        config = (await own_plant.api(f"STREAM.INFO.{STREAM}"))["config"]
        await own_plant.api(f"STREAM.UPDATE.{STREAM}", config | {"metadata": {"owner": "operations"}})
        await own_plant.set_up(log_bytes_max=20 * MIB)
        assert (await own_plant.api(f"STREAM.INFO.{STREAM}"))["config"]["metadata"]["owner"] == "operations"

    async def test_number_of_replicas_is_changed_in_place_and_told(
        self, cluster_plant: Plant, key: WorkflowKey
    ) -> None:
        store = await cluster_plant.store(WRITER)
        await append_by_id(store, key, claimed(), id="one")
        for found, wanted in ((3, 1), (1, 3)):
            assert await cluster_plant.set_up(log_replicas=wanted) == [
                f"changed the stream {name}: num_replicas is {found}, wanted {wanted}" for name in (BUCKET, STREAM)
            ]
            assert (await store.read(key, reach=1)).revision == 1
            assert await cluster_plant.set_up(log_replicas=wanted) == []


class TestWhatCannotBeChanged:
    @pytest.mark.parametrize(("setting", "value"), [("retention", "workqueue"), ("storage", "memory")])
    async def test_conflict_names_it_and_changes_nothing(self, bare_plant: Plant, setting: str, value: Any) -> None:
        created = await bare_plant.api(f"STREAM.CREATE.{STREAM}", stream(bytes_max=10 * MIB) | {setting: value})
        assert "error" not in created
        with pytest.raises(TopologyConflict, match=f"{setting} is .*Nothing was changed"):
            await bare_plant.set_up(log_bytes_max=20 * MIB)
        kept = await bare_plant.api(f"STREAM.INFO.{STREAM}")
        assert (kept["config"][setting], kept["config"]["max_bytes"]) == (value, 10 * MIB)
        assert kept["state"]["consumer_count"] == 0

    async def test_more_replicas_than_servers_are_refused(self, lone_plant: Plant) -> None:
        with pytest.raises(TopologyConflict, match="num_replicas is 1, wanted 3"):
            await lone_plant.set_up(log_replicas=3)

    async def test_size_beyond_the_servers_room_is_refused(self, own_plant: Plant) -> None:
        with pytest.raises(TopologyConflict, match="max_bytes"):
            await own_plant.set_up(log_bytes_max=1024**5)


class TestCommand:
    """`python -m chassis.setup`, as an operator runs it."""

    async def run(self, plant: Plant, **changes: str) -> tuple[int | None, str, str]:
        told = {
            "PRESSROOM_NATS_URL": plant.running.nats_url,
            "PRESSROOM_NATS_PASSWORD": plant.running.passwords[SET_UP],
            "PRESSROOM_LOG_BYTES_MAX": str(1024 * MIB),
            "PRESSROOM_LOG_REPLICAS": str(plant.nodes),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "chassis.setup"),
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]} | told | changes,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(10):
            out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    async def test_success_says_what_was_done(self, bare_plant: Plant) -> None:
        code, out, err = await self.run(bare_plant)
        assert (code, nameless(out.splitlines()), err) == (0, CREATED, "")
        assert await self.run(bare_plant) == (0, "", "")

    async def test_wrong_password_is_one_sentence(self, plant: Plant) -> None:
        code, out, err = await self.run(plant, PRESSROOM_NATS_PASSWORD="canary")
        assert (code, out) == (1, "") and "canary" not in err and "Traceback" not in err
        assert err.splitlines()[-1].startswith("Set-up stopped: the user 'set-up' or its password is not known")

    async def test_user_without_the_right_is_one_sentence(self, plant: Plant) -> None:
        password = plant.running.passwords[WRITER]
        code, _, err = await self.run(plant, PRESSROOM_NATS_USER=WRITER, PRESSROOM_NATS_PASSWORD=password)
        assert code == 1 and "Set-up stopped: writer may not use $js.api.stream.info" in err and "Traceback" not in err

    async def test_conflict_is_one_sentence(self, lone_plant: Plant) -> None:
        code, _, err = await self.run(lone_plant, PRESSROOM_LOG_REPLICAS="3")
        assert code == 1 and err.startswith("Set-up stopped: ") and "num_replicas" in err and "Traceback" not in err

    async def test_wrong_setting_names_its_variable(self, plant: Plant) -> None:
        code, _, err = await self.run(plant, PRESSROOM_ACK_WAIT_S="soon")
        assert code == 2 and "PRESSROOM_ACK_WAIT_S" in err
