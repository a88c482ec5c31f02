"""A log that is written and archived whole, and what must hold of it once it is restored."""

from chassis.jetstream_log import Entry
from services.projector.archive import digest
from tests.contracts.given import blog_written, requested
from tests.services.projector.press import Press, new_key


async def write(press: Press, workflows: int) -> None:
    """Two events for each of so many workflows."""
    for _ in range(workflows):
        await press.record(new_key(), requested(), blog_written())


async def project_whole(press: Press, workflows: int) -> list[Entry]:
    """So many workflows more, archived. -> all events of the log"""
    await write(press, workflows)
    await press.project()
    return await press.entries()


def digests(entries: list[Entry]) -> list[bytes]:
    """What the archive's checksums of these are."""
    return [digest(entry) for entry in entries]


async def is_restored(press: Press, *, before: list[Entry], newer: list[Entry]) -> None:
    """Fails unless the log holds what was archived `before`, as it was, and behind it what is `newer`."""
    after = await press.entries()
    assert digests(after[: len(before)]) == digests(before)
    assert [one.body for one in after[len(before) :]] == [one.body for one in newer]


async def goes_on(press: Press) -> None:
    """Fails unless new work is taken in and projected, and nothing differs anywhere."""
    await press.record(new_key(), requested(), blog_written())
    await press.project()
    assert await (await press.guard()).look() is None
    assert await press.differences() == []
