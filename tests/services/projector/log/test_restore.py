"""The restore: says first what it would do, survives being killed anywhere, and drops nothing silently."""

from typing import Any

import pytest
from asyncpg import InsufficientPrivilegeError
from nats.aio.msg import Msg

from chassis.connection import Connection
from chassis.event_store import StoreUnavailable
from chassis.jetstream_log import Entry
from chassis.jetstream_store import STREAM
from chassis.settings import Settings
from chassis.topology import SET_UP
from contracts.services import PROJECTOR
from contracts.subjects import whose
from services.projector.log.restore.__main__ import restore
from services.projector.log.restore.archived import ArchiveUnfit
from services.projector.log.restore.restoration import CannotRestore
from services.projector.log.verify import verify
from tests.contracts.given import blog_written, claimed, requested
from tests.services.projector.log.archived import digests, goes_on, is_restored, project_whole, write
from tests.services.projector.press import Press, new_key, set_up_press


class Killed(Exception):
    """Stands for the process's end at this very moment."""


class Mortal:
    """Set-up's connection, which dies for good before one of its requests."""

    def __init__(self, connection: Connection, requests: int) -> None:
        self._connection, self._left = connection, requests
        self.has_cluster = connection.has_cluster

    async def ask(self, subject: str, payload: bytes, **options: Any) -> Msg:
        self._left -= 1
        if self._left < 0:
            raise Killed
        return await self._connection.ask(subject, payload, **options)

    async def ask_all(self, subject: str, payload: bytes, **options: Any) -> list[Msg]:
        return await self._connection.ask_all(subject, payload, **options)


def settings(press: Press) -> Settings:
    """What the command is told."""
    return Settings.model_validate(
        {
            "nats_url": press.running.nats_url,
            "nats_user": SET_UP,
            "nats_password": press.running.passwords[SET_UP],
            "postgres_url": press.running.postgres_url(PROJECTOR),
            "log_bytes_max": 1024**3,
        }
    )


async def test_restore_that_is_killed_anywhere_is_finished_by_the_next(own_press: Press) -> None:
    before = await project_whole(own_press, 6)
    await own_press.roll_log_back(len(before) - 8)
    await write(own_press, 2)
    newer = (await own_press.entries())[len(before) - 8 :]
    requests = 0
    while True:
        mortal: Any = Mortal(await own_press.connection(SET_UP), requests)
        try:
            await (await own_press.restoration(mortal)).run()
            break
        except* Killed:
            requests += 1 if requests < 12 else 7
        finally:
            await (await own_press.database(PROJECTOR)).execute("SELECT pg_advisory_unlock_all()")
        if requests % 2:
            await own_press.set_up_log()  # as the next start does
    await is_restored(own_press, before=before, newer=newer)
    await goes_on(own_press)


async def test_half_a_log_is_never_opened_by_a_start(own_press: Press) -> None:
    before = await project_whole(own_press, 3)
    await own_press.roll_log_back(len(before) - 4)
    await write(own_press, 1)
    restoration = await own_press.restoration()
    closed = restoration._closed_log  # pyright: ignore[reportPrivateUsage]
    await closed.close()
    await closed.make_anew()
    await own_press.api(f"STREAM.DELETE.{STREAM}")  # as a kill between the two would leave it
    told = "the log stays closed until it is restored: `./run log restore --yes`"
    for _ in range(2):
        assert told in await own_press.set_up_log()
        with pytest.raises(StoreUnavailable):
            await own_press.record(new_key(), requested())
        with pytest.raises(StoreUnavailable):
            await own_press.entries()
    async with own_press.projecting() as projector:
        await own_press.until_trouble(projector, "the log is closed")
    await own_press.restore()
    assert digests((await own_press.entries())[: len(before)]) == digests(before)
    assert told not in await own_press.set_up_log()


async def test_without_yes_nothing_is_changed(own_press: Press, capsys: pytest.CaptureFixture[str]) -> None:
    before = await project_whole(own_press, 4)
    await own_press.roll_log_back(len(before) - 4)
    await write(own_press, 1)
    damaged, kept = digests(await own_press.entries()), await set_aside(own_press)
    config = (await own_press.api(f"STREAM.INFO.{STREAM}"))["config"]
    await restore(settings(own_press), does=False, of=None)
    out, _ = capsys.readouterr()
    assert out.splitlines()[-1] == "Nothing was changed. `./run log restore --yes` does it."
    assert f"It is intact up to position {len(before) - 4}." in out
    assert f"{len(before) + 2} events to be stored" in out
    assert "2 newer events appended behind the archived ones:" in out
    assert (digests(await own_press.entries()), await set_aside(own_press)) == (damaged, kept)
    assert (await own_press.api(f"STREAM.INFO.{STREAM}"))["config"] == config
    await restore(settings(own_press), does=True, of=None)
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == f"The log is whole and open again: {len(before) + 2} events."
    assert "Bringing events back: 100 %" in err
    await restore(settings(own_press), does=True, of=None)
    assert "there is nothing to restore" in capsys.readouterr().out


async def set_aside(press: Press) -> list[bytes]:
    """The bodies of all that was ever set aside, in order."""
    rows = await (await press.database()).fetch("SELECT body FROM archive.set_aside ORDER BY set_aside_at, position")
    return [row["body"] for row in rows]


async def test_workflow_that_went_on_without_its_past_is_set_aside_and_told(own_press: Press) -> None:
    key, other = new_key(), new_key()
    await own_press.record(key, requested(), claimed("blog"), blog_written())
    await own_press.project()
    before = await own_press.entries()
    await own_press.roll_log_back(len(before) - 2)
    await own_press.record(key, claimed("blog"), blog_written(title="Another"), claimed("illustration"))
    await own_press.record(other, requested())
    damaged = (await own_press.entries())[len(before) - 2 :]
    plan = await own_press.restore()
    assert [(whose(one.entry.subject), one.is_appended) for one in plan.newer] == [(key, False)] * 3 + [(other, True)]
    assert [one.why for one in plan.newer] == [
        "the archive holds another event of this workflow and revision",
        f"it follows event {len(before) - 1} of its workflow, which is set aside",
        f"it follows event {len(before) - 1} of its workflow, which is set aside",
        None,
    ]
    assert (await set_aside(own_press))[-4:] == [one.body for one in damaged]
    after = await own_press.entries()
    assert digests(after[:-1]) == digests(before) and whose(after[-1].subject) == other
    await own_press.project()
    assert await own_press.differences() == []


async def test_archive_that_is_damaged_itself_restores_nothing(own_press: Press) -> None:
    await project_whole(own_press, 2)
    owner, damaged = await own_press.database(), digests(await own_press.entries())
    row = await owner.fetchrow("SELECT * FROM archive.events ORDER BY position LIMIT 1")
    assert row is not None
    await owner.execute("UPDATE archive.events SET body = body || 'x' WHERE position = $1", row["position"])
    try:
        with pytest.raises(ArchiveUnfit, match="does not have the hash"):
            await own_press.restore()
        assert digests(await _readable(own_press)) == damaged
    finally:
        await owner.execute("UPDATE archive.events SET body = $1 WHERE position = $2", row["body"], row["position"])
        await own_press.restore()


async def _readable(press: Press) -> list[Entry]:
    """The log's entries, also where it is closed."""
    closed = (await press.restoration())._closed_log  # pyright: ignore[reportPrivateUsage]
    return await closed.read(0, (await closed.state()).last)


async def test_projector_cannot_change_what_was_set_aside(own_press: Press) -> None:
    for words in (
        "DELETE FROM archive.set_aside",
        "UPDATE archive.set_aside SET why = ''",
        "TRUNCATE archive.set_aside",
    ):
        with pytest.raises(InsufficientPrivilegeError):
            await (await own_press.database(PROJECTOR)).execute(words)


async def test_log_that_was_lost_is_brought_back_in_the_place_of_the_new_one(own_press: Press) -> None:
    before = await project_whole(own_press, 3)
    epoch = await (await own_press.log()).epoch()
    await own_press.make_log_anew()
    await own_press.record(new_key(), requested())
    with pytest.raises(CannotRestore, match=f"{len(before)} of the log {epoch}"):
        await own_press.restore()
    await set_up_press(own_press.running)
    plan = await (await own_press.restoration(of=epoch)).run()
    assert (plan.end, len(plan.tail)) == (len(before), 1)
    after = await own_press.entries()
    assert digests(after[:-1]) == digests(before) and await (await own_press.log()).epoch() == epoch
    await own_press.project()
    assert await own_press.differences() == []


async def test_verify_tells_which_positions_are_wrong(own_press: Press, capsys: pytest.CaptureFixture[str]) -> None:
    before = await project_whole(own_press, 4)
    last = len(before)
    assert await verify(settings(own_press)) == 0
    assert "no difference" in capsys.readouterr().out
    await own_press.roll_log_back(last - 4)
    await write(own_press, 1)
    assert await verify(settings(own_press)) == 1
    out, err = capsys.readouterr()
    assert f"cannot give what was archived at positions {last - 1} to {last}" in out
    assert f"holds another event than was archived at positions {last - 3} to {last - 2}" in out
    assert "Comparing the log with its archive: 100 %" in err
    restoration = await own_press.restoration()
    await restoration._closed_log.close()  # pyright: ignore[reportPrivateUsage]
    assert await verify(settings(own_press)) == 2
    assert "the log is closed" in capsys.readouterr().err
    await own_press.restore()
