"""The delivery protocol under crashes, stalls, lost replies and redeliveries: the real runner in a simulated world.

A failing seed replays exactly: python -m tests.simulation.replay SEED
"""

from dataclasses import replace
from typing import Any
from unittest.mock import ANY

import pytest

import chassis.delivery
import chassis.runner
from chassis.delivery import Ack, Leave, Memory, Nak, Step, next_step
from contracts.commands import Command
from contracts.events import Artefact, Event, work_of
from contracts.workflow import Workflow
from tests.simulation.virtual_time import run_virtually
from tests.simulation.world import Planted, World

SEEDS = 1_200
BATCH = 100


def simulate(seed: int, planted: Planted | None = None) -> str | None:
    """-> None, or what broke."""

    async def run() -> str | None:
        return await World(seed, planted).run()

    return run_virtually(run())


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_every_workflow_ends_and_nothing_is_lost_doubled_or_paid_in_vain(first: int) -> None:
    broken = {seed: what for seed in range(first, first + BATCH) if (what := simulate(seed))}
    assert not broken, f"replay with: python -m tests.simulation.replay {min(broken)}"


def never(*_: object) -> bool:
    return False


def always(*_: object) -> bool:
    return True


def anything(*_: object) -> object:
    return ANY


class TestPlantedBugs:
    """A simulation that was never seen failing proves nothing: with any rule taken out it must find a violation."""

    SEEDS_MAX = 600

    def finds(self, planted: Planted | None = None) -> bool:
        return any(simulate(seed, planted) for seed in range(self.SEEDS_MAX))

    def test_an_append_without_the_fence_is_found(self) -> None:
        assert self.finds(Planted(fence=False))

    def test_an_ack_before_the_append_is_found(self) -> None:
        assert self.finds(Planted(ack_after_append=False))

    def test_claiming_what_another_holder_took_over_is_found(self) -> None:
        def never_taken_over(state: Workflow, kinds: Any, memory: Memory, now: Any) -> Step:
            return next_step(state, kinds, replace(memory, first_read=10**9), now)

        assert self.finds(Planted(next_step=never_taken_over))

    def test_settling_with_an_ack_while_a_retry_lies_ahead_is_found(self) -> None:
        def acks_too_early(state: Workflow, kinds: Any, memory: Memory, now: Any) -> Step:
            step = next_step(state, kinds, memory, now)
            return Ack() if isinstance(step, Nak | Leave) else step

        assert self.finds(Planted(next_step=acks_too_early))

    def test_leaving_completion_undone_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(chassis.delivery, "completion_is_due", never)
        assert self.finds()

    def test_acting_on_any_message_that_comes_by_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(chassis.delivery, "guard", anything)
        assert self.finds()

    def test_paying_on_a_claim_that_is_no_longer_open_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(chassis.runner, "_is_open", always)
        assert self.finds()

    def test_a_history_that_does_not_reach_the_delivered_event_is_found(self) -> None:
        assert self.finds(Planted(reads_reach=False))

    def test_throwing_away_a_success_that_comes_late_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = chassis.runner.decide

        def only_of_the_open_claim(command: Command, state: Workflow) -> Event | None:
            made = real(command, state)
            if isinstance(made, Artefact) and not state.is_open_claim(work_of(made), made.run, made.attempt):
                return None
            return made

        monkeypatch.setattr(chassis.runner, "decide", only_of_the_open_claim)
        assert self.finds()
