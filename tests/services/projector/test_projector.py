"""The projector on a real log and a real Postgres: every event is applied once, whatever dies and whoever else runs."""

import random
from contextlib import suppress

import pytest
from asyncpg import InsufficientPrivilegeError

from chassis.jetstream_store import STREAM
from contracts.services import GATEWAY, PROJECTOR, WRITER
from contracts.subjects import EventSubject, WorkflowKey
from local.postgres import ADMIN
from services.projector.generation import locked_live
from services.projector.projector import connect
from services.projector.setup import set_up
from tests.contracts.given import blog_written, claimed, completed, everything, requested
from tests.services.projector.press import Press, made_up, new_key, record_mixed


async def equal(press: Press) -> None:
    """Fails unless the tables, the checkpoint and the archive are what the log says."""
    assert await press.differences() == []


class TestRows:
    async def test_open_workflow_has_a_row(self, press: Press, key: WorkflowKey) -> None:
        position = await press.record(key, requested(research=True))
        await press.project()
        row = await press.row("workflows", key)
        assert (row["status"], row["revision"], row["position"]) == ("open", 1, position)

    async def test_completed_workflow_has_its_artefacts(self, press: Press, key: WorkflowKey) -> None:
        await press.record(key, *everything(), completed())
        await press.project()
        assert (await press.row("workflows", key))["status"] == "completed"
        assert (await press.row("blog_posts", key))["title"] == "Tea"
        assert (await press.row("social_media_posts", key))["platform"] == "linkedin"
        assert (await press.row("images", key))["width"] == 64

    async def test_running_projector_applies_what_comes(self, press: Press, key: WorkflowKey) -> None:
        async with press.projecting():
            for event in (requested(), claimed("blog"), blog_written()):
                await press.until_projected(await press.record(key, event))
        assert (await press.row("workflows", key))["revision"] == 3

    async def test_tables_are_what_the_log_says(self, own_press: Press) -> None:
        async with own_press.projecting():
            await record_mixed(own_press, made_up(seed=1, count=25))
            await own_press.until_projected()
        await equal(own_press)

    async def test_event_that_nobody_announced_is_found(self, own_press: Press) -> None:
        """Live messages may be lost; here there are none at all."""
        config = (await own_press.api(f"STREAM.INFO.{STREAM}"))["config"]
        async with own_press.projecting():
            await own_press.until_projected(await own_press.record(new_key(), requested()))
            del config["republish"]
            assert "error" not in await own_press.api(f"STREAM.UPDATE.{STREAM}", config)
            await own_press.until_projected(await own_press.record(new_key(), requested()))


class TestKilled:
    async def test_postgres_killed_at_any_moment_loses_and_doubles_nothing(self, own_press: Press) -> None:
        def kill() -> None:
            with suppress(KeyError, ProcessLookupError):  # it is down already
                own_press.kill("postgres")

        async with own_press.projecting():
            await record_mixed(own_press, made_up(seed=3, count=60), every=150, then=kill)
            await own_press.until_projected()
        await equal(own_press)

    async def test_projector_that_is_cut_short_leaves_no_half_batch(self, own_press: Press) -> None:
        histories = list(made_up(seed=4, count=60).items())
        for number in range(0, len(histories), 3):
            async with own_press.projecting():  # and cut short, wherever it is by then
                await record_mixed(own_press, dict(histories[number : number + 3]))
        await own_press.project()
        await equal(own_press)

    async def test_postgres_that_is_away_is_told_also_when_there_is_nothing_to_do(self, own_press: Press) -> None:
        async with own_press.projecting() as projector:
            await own_press.until_projected(await own_press.record(new_key(), *everything()))
            own_press.kill("postgres")
            await own_press.until_trouble(projector, "Postgres")

    async def test_nats_killed_is_waited_for(self, own_press: Press) -> None:
        async with own_press.projecting():
            await own_press.until_projected(await own_press.record(new_key(), *everything()))
            own_press.kill("nats")
            await own_press.until_recorded(new_key(), *everything())
            await own_press.until_projected()
        await equal(own_press)


class TestTwo:
    async def test_two_at_once_apply_each_event_once(self, own_press: Press) -> None:
        async with own_press.projecting(), own_press.projecting(), own_press.projecting():
            await record_mixed(own_press, made_up(seed=5, count=25))
            await own_press.until_projected()
        await equal(own_press)

    async def test_two_that_start_at_once_make_the_tables_once(self, own_press: Press) -> None:
        await own_press.record(new_key(), *everything())
        async with own_press.projecting(), own_press.projecting():
            await own_press.until_projected()
        await equal(own_press)
        assert (await own_press.checkpoint())["generation"] == 1

    async def test_one_that_falls_silent_in_mid_batch_holds_the_others_up_for_seconds_only(
        self, own_press: Press
    ) -> None:
        await own_press.project(await own_press.record(new_key(), *everything()))
        silent = await connect(own_press.running.postgres_url(PROJECTOR))
        try:
            await silent.execute("BEGIN")
            await locked_live(silent)
            await silent.execute("SELECT * FROM projection.checkpoints FOR UPDATE")
            await own_press.record(new_key(), *everything())
            await own_press.project()
        finally:
            silent.terminate()
        await equal(own_press)


class TestPoison:
    @pytest.mark.parametrize(
        ("event", "body", "why"),
        [
            ("blog-written", b"no JSON", "is not JSON"),
            ("blog-written", b"[" * 100_000, "is not JSON"),
            ("blog-written", b'{"type": "blog-written", "version": 99}', "is newer than"),
            ("essay-written", b"{}", "is not known"),
            ("blog-written", b'{"type": "blog-written", "version": 1}', "Field required"),
            ("blog-written", b"\xff\xfe\x00", "is not JSON"),
        ],
        ids=["text", "deep", "newer", "unknown", "fields", "bytes"],
    )
    async def test_workflow_is_held_and_listed_and_others_flow(
        self, press: Press, key: WorkflowKey, event: str, body: bytes, why: str
    ) -> None:
        await press.record(key, requested())
        position = await press.publish(key, 2, body, event=event)
        await press.publish(key, 3, body, event=event)
        other = new_key()
        await press.record(other, *everything(), completed())
        await press.project()
        assert (await press.row("workflows", other))["status"] == "completed"
        assert (await press.row("workflows", key))["revision"] == 1
        held = await press.row("quarantine", key)
        assert (held["position"], held["events"]) == (position, 2)
        assert why in held["error"]

    async def test_event_that_postgres_refuses_holds_its_workflow_alone(self, own_press: Press) -> None:
        await own_press.project()
        await (await own_press.database()).execute("ALTER TABLE read_1.blog_posts ADD CHECK (title <> 'Forbidden')")
        bad, good = new_key(), new_key()
        await own_press.record(bad, requested())
        await own_press.record(good, requested())
        await own_press.record(bad, blog_written(title="Forbidden"))
        await own_press.record(good, *everything()[1:], completed())
        await own_press.project()
        assert (await own_press.row("workflows", good))["status"] == "completed"
        assert "violates check constraint" in (await own_press.row("quarantine", bad))["error"]
        assert await own_press.rows("blog_posts", bad) == []
        await equal(own_press)

    @pytest.mark.parametrize("name", ["t\0a", "t$a", "ü"], ids=["zero byte", "sign", "letter"])
    async def test_subject_that_is_no_events_is_held_under_its_own_name(self, own_press: Press, name: str) -> None:
        writer = await own_press.connection(WRITER)
        subject = str(EventSubject(WorkflowKey("local", "NAME"), WRITER, "blog-written", 1)).replace("NAME", name)
        await writer.ask(subject, b"{}", timeout_s=10)
        await own_press.record(new_key(), *everything(), completed())
        await own_press.project()
        held = await own_press.row("quarantine", WorkflowKey("local", name.replace("\0", "\ufffd")))
        assert "is not" in held["error"]
        await equal(own_press)

    async def test_name_too_long_for_an_index_is_held_under_its_beginning(self, own_press: Press) -> None:
        writer = await own_press.connection(WRITER)
        name = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=3000))
        subject = str(EventSubject(WorkflowKey("local", "NAME"), WRITER, "blog-written", 1)).replace("NAME", name)
        await writer.ask(subject, b"{}", timeout_s=10)
        await own_press.record(new_key(), *everything(), completed())
        await own_press.project()
        (held,) = await (await own_press.database()).fetch("SELECT * FROM read.quarantine")
        assert held["workflow_id"].startswith(name[:32]) and len(held["workflow_id"]) <= 64
        await equal(own_press)

    async def test_applied_and_held_are_all_events(self, own_press: Press) -> None:
        key = new_key()
        await own_press.record(key, *everything())
        await own_press.publish(key, 5, b"no JSON")
        await own_press.publish(key, 7, b"no JSON")
        await own_press.project()
        checkpoint = await own_press.checkpoint()
        assert (checkpoint["applied"], checkpoint["held"], checkpoint["position"]) == (4, 2, 6)
        await equal(own_press)


class TestDoubt:
    """The log is not what the tables were built from: nothing is written, and the health says why."""

    async def test_another_log_is_refused(self, own_press: Press) -> None:
        await own_press.record(new_key(), *everything())
        await own_press.project()
        await own_press.make_log_anew()
        await own_press.record(new_key(), requested())
        async with own_press.projecting() as projector:
            await own_press.until_trouble(projector, "is not the one that the read tables were built from")
        assert (await own_press.checkpoint())["position"] == 4

    async def test_log_that_ends_before_the_checkpoint_is_refused(self, own_press: Press) -> None:
        await own_press.record(new_key(), *everything())
        await own_press.project()
        await own_press.roll_log_back(2)
        async with own_press.projecting() as projector:
            await own_press.until_trouble(projector, "the log ends at 2: it has lost event 4")

    async def test_log_with_another_event_at_the_checkpoint_is_refused(self, own_press: Press) -> None:
        await own_press.record(new_key(), *everything())
        await own_press.project()
        await own_press.roll_log_back(2)
        await own_press.record(new_key(), *everything())
        told = "event 4 is not the one that was applied", "holds another event than was archived at position 4"
        async with own_press.projecting() as projector:
            await own_press.until_trouble(projector, *told)  # the loop says the first, the guard the other

    @pytest.mark.parametrize("lost", [1, 3, 4])
    async def test_hole_in_the_log_is_never_skipped(self, own_press: Press, lost: int) -> None:
        await own_press.record(new_key(), *everything())
        await own_press.api(f"STREAM.MSG.DELETE.{STREAM}", {"seq": lost})
        async with own_press.projecting() as projector:
            await own_press.until_trouble(projector, "the log has holes: it ends at 4 and holds 3 events")
        assert (await own_press.checkpoint())["position"] == 0

    async def test_log_replaced_under_a_running_projector_is_noticed(self, own_press: Press) -> None:
        async with own_press.projecting() as projector:
            await own_press.until_projected(await own_press.record(new_key(), *everything()))
            await own_press.make_log_anew()
            await own_press.until_trouble(projector, "is not the one that the read tables were built from")
            await own_press.record(new_key(), *everything(), completed())
            await own_press.until_trouble(projector, "is not the one that the read tables were built from")
        assert (await own_press.checkpoint())["position"] == 4

    async def test_log_rolled_back_under_a_running_projector_is_noticed(self, own_press: Press) -> None:
        async with own_press.projecting() as projector:
            await own_press.until_projected(await own_press.record(new_key(), *everything()))
            await own_press.roll_log_back(2)
            await own_press.record(new_key(), *everything(), completed())
            await own_press.until_trouble(projector, "event 4 is not the one that was applied")
        assert (await own_press.checkpoint())["position"] == 4

    async def test_empty_tables_take_over_the_log_that_is_there(self, own_press: Press) -> None:
        async with own_press.projecting():
            await own_press.until_projected(0)
        await own_press.make_log_anew()
        await own_press.record(new_key(), *everything())
        await own_press.project()
        await equal(own_press)

    async def test_tables_that_were_thrown_away_are_made_anew_beside_their_archive(self, own_press: Press) -> None:
        await own_press.record(new_key(), *everything())
        await own_press.project()
        await own_press.make_database_anew(keep="archive")
        await own_press.record(new_key(), *everything())
        await own_press.project()
        await equal(own_press)

    async def test_trouble_stays_told_until_a_batch_is_applied(self, own_press: Press) -> None:
        await own_press.project()
        await (await own_press.database()).execute("ALTER TABLE archive.events ADD CHECK (position < 1)")
        await own_press.record(new_key(), requested())
        async with own_press.projecting() as projector:
            await own_press.until_trouble(projector, "violates check constraint")

    async def test_new_database_beside_an_old_log_is_filled_from_its_beginning(self, own_press: Press) -> None:
        await own_press.record(new_key(), *everything())
        await own_press.project()
        await own_press.make_database_anew()
        await own_press.project()
        await equal(own_press)

    async def test_tables_of_another_shape_are_not_written_to(self, own_press: Press) -> None:
        await own_press.project()
        await (await own_press.database()).execute("UPDATE projection.checkpoints SET shape = 'other'")
        await own_press.record(new_key(), requested())
        async with own_press.projecting() as projector:
            await own_press.until_trouble(projector, "another version of Pressroom")


class TestRights:
    async def test_projector_cannot_slip_the_owner_a_function(self, own_press: Press) -> None:
        """One in a schema of the owner's name would be taken for Postgres' own, where the search path allows it."""
        projector = await own_press.database(PROJECTOR)
        await projector.execute(
            "CREATE SCHEMA postgres; CREATE FUNCTION postgres.pg_advisory_xact_lock(integer) RETURNS void LANGUAGE sql "
            "AS 'ALTER ROLE projector SUPERUSER'"
        )
        await set_up(own_press.running.postgres_url(ADMIN))
        assert not await projector.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = 'projector'")

    async def test_archive_is_the_owners_whoever_made_it(self, own_press: Press) -> None:
        await (await own_press.database()).execute(
            "ALTER SCHEMA archive OWNER TO projector; ALTER TABLE archive.events OWNER TO projector"
        )
        await set_up(own_press.running.postgres_url(ADMIN))
        with pytest.raises(InsufficientPrivilegeError):
            await (await own_press.database(PROJECTOR)).execute("DELETE FROM archive.events")

    @pytest.mark.parametrize("change", ["DELETE FROM", "TRUNCATE", "UPDATE", "DROP TABLE"])
    async def test_projector_cannot_change_the_archive(self, press: Press, change: str) -> None:
        await press.project()
        words = f"{change} archive.events" + (" SET body = ''" if change == "UPDATE" else "")
        with pytest.raises(InsufficientPrivilegeError):
            await (await press.database(PROJECTOR)).execute(words)

    @pytest.mark.parametrize(
        "words",
        [
            "SELECT * FROM read_1.workflows",
            "SELECT * FROM archive.events",
            "SELECT * FROM projection.checkpoints",
            "DELETE FROM read.workflows",
            "UPDATE read.workflows SET topic = ''",
            "CREATE TABLE read.mine ()",
            "CREATE TABLE public.mine ()",
            "CREATE SCHEMA mine",
        ],
    )
    async def test_gateway_can_only_read_the_views(self, press: Press, words: str) -> None:
        await press.project()
        with pytest.raises(InsufficientPrivilegeError):
            await (await press.database(GATEWAY)).execute(words)
