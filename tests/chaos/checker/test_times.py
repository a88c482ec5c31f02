"""The times that are promised of the log: behind the return of its server, and behind the loss of a leader."""

from typing import Any

from chaos.checker.shapes import Append, Happening
from chaos.checker.times import check_losses, check_returns
from tests.chaos.checker.given import BEGAN, a_run, breaks, happening, holds


def append(name: str, second: float, phase: Any, **told: Any) -> Append:
    """What became of the append of an event, so many seconds behind the start."""
    return Append(at=BEGAN + second, process="writer-1", subject=name, sha256="", phase=phase, **told)


def fault(kind: str, fired: float, healed: float, step: int = 1) -> list[Happening]:
    return [
        happening(kind, BEGAN + fired, step=step, target="nats", phase="fired"),
        happening(kind, BEGAN + healed, step=step, target="nats", phase="healed"),
    ]


BUSY = [append("a", 1, "sent"), append("a", 1.1, "acked", position=1), append("b", 9, "sent")]
"""One event is stored, and one waits when the server comes back at 10."""

BACK = fault("nats-killed", 8, 10)


def answered(second: float, phase: Any = "acked", **told: Any) -> list[Append]:
    return [*BUSY, append("b", second, phase, **told)]


class TestReturns:
    def test_answer_soon_after_the_return_holds_and_the_wait_is_told(self) -> None:
        found = holds(check_returns, a_run(happened=BACK, appends=answered(12.5)))
        assert "at most 2.50 s (1 times)" in found.words()[0]

    def test_answer_that_is_late_is_found(self) -> None:
        breaks(check_returns, a_run(happened=BACK, appends=answered(14.5)), "4.50 s without an answer behind nats-kill")

    def test_of_three_servers_one_that_goes_may_have_led(self) -> None:
        three = a_run().plan.model_copy(update={"nodes": 3})
        holds(check_losses, a_run(plan=three, happened=BACK, appends=answered(14.5)))
        late = a_run(plan=three, happened=BACK, appends=answered(23))
        breaks(check_losses, late, "14.00 s without an answer behind nats-killed")
        assert check_returns(late).is_idle

    def test_second_for_the_load_of_the_machine_is_granted(self) -> None:
        holds(check_returns, a_run(happened=BACK, appends=answered(13.9)))

    def test_answer_that_never_comes_is_found(self) -> None:
        happened = [*BACK, happening("end", BEGAN + 60)]
        breaks(check_returns, a_run(happened=happened, appends=BUSY), "50.00 s without an answer")

    def test_time_in_which_nobody_waited_does_not_count(self) -> None:
        idle = [*BUSY[:2], append("b", 20, "sent"), append("b", 20.1, "acked", position=2)]
        found = holds(check_returns, a_run(happened=BACK, appends=idle))
        assert "at most 0.10 s" in found.words()[0]

    def test_whoever_tries_again_has_waited_since_the_first_time(self) -> None:
        lost = [*answered(9.1, "unanswered"), append("b", 15, "sent"), append("b", 15.1, "acked", position=2)]
        breaks(check_returns, a_run(happened=BACK, appends=lost), "5.10 s without an answer")

    def test_refusal_of_a_revision_that_is_taken_is_an_answer(self) -> None:
        holds(check_returns, a_run(happened=BACK, appends=answered(11, "refused", error="10071 wrong last sequence")))

    def test_return_that_the_next_fault_cuts_short_is_not_judged(self) -> None:
        happened = [*BACK, *fault("nats-paused", 10.5, 15.5, step=2)]
        found = check_returns(a_run(happened=happened, appends=answered(16)))
        assert (found.violations, found.looked_at) == ((), {"times": 1})

    def test_run_without_such_a_fault_is_idle(self) -> None:
        assert check_returns(a_run()).is_idle and check_losses(a_run()).is_idle


class TestLosses:
    LOST = fault("leader", 5, 7)

    def test_stall_of_the_promised_length_holds_and_is_told(self) -> None:
        told = [append("a", 5.5, "sent"), append("a", 17, "acked", position=1)]
        found = holds(check_losses, a_run(happened=self.LOST, appends=told))
        assert "at most 11.50 s (1 times)" in found.words()[0]

    def test_longer_stall_is_found(self) -> None:
        told = [append("a", 4, "sent"), append("a", 18.5, "acked", position=1)]
        breaks(check_losses, a_run(happened=self.LOST, appends=told), "13.50 s without an answer behind leader")

    def test_two_stopped_servers_stall_it_until_they_are_back(self) -> None:
        told = [append("a", 4, "sent"), append("a", 30, "acked", position=1)]
        holds(check_losses, a_run(happened=fault("two-down", 5, 25), appends=told))
        breaks(check_losses, a_run(happened=fault("two-down", 5, 15), appends=told), "behind two-down")
