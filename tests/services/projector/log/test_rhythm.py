"""The guard looks by itself, again and again: damage that nobody touches is found, and so is that it was undone."""

import signal
from collections.abc import Callable

import pytest

from services.projector.log import guard
from services.projector.log.guard import Guard
from tests.services.projector.log.archived import digests, goes_on, project_whole
from tests.services.projector.log.damage import damage, flip_bit
from tests.services.projector.press import Press
from tests.waiting import until

OFTEN_S = 0.3
PROMISED_S = 60.0


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Has every guard look often. -> how many looks have ended"""
    ended, look = 0, Guard.look

    async def counted(self: Guard) -> str | None:
        nonlocal ended
        doubt = await look(self)
        ended += 1
        return doubt

    monkeypatch.setattr(Guard, "look", counted)
    monkeypatch.setattr(guard, "EVERY_S", OFTEN_S)
    monkeypatch.setattr(guard, "AGAIN_S", OFTEN_S)
    return lambda: ended


async def test_damage_in_the_middle_is_found_while_no_event_comes(own_press: Press, looks: Callable[[], int]) -> None:
    before = await project_whole(own_press, 5)

    async def has_looked() -> bool:
        return looks() > 0

    async with own_press.projecting() as projector:
        await own_press.until_projected()
        await until(has_looked, "the look at the start is over")
        await damage(own_press, flip_bit, then=signal.SIGTERM)  # begin and end of the log are what they were
        await own_press.until_trouble(projector, "the log cannot give position")
        await own_press.restore()

        async def is_well() -> bool:
            return projector.trouble is None

        await until(is_well, "the projector has seen that the log is restored")
    assert digests(await own_press.entries()) == digests(before)
    await goes_on(own_press)


def test_looks_are_no_further_apart_than_damage_may_stay_unseen() -> None:
    assert guard.AGAIN_S <= guard.EVERY_S <= PROMISED_S
