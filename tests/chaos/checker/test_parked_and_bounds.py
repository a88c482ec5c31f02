"""What is parked is listed, and goes on by one command; and what has a stated bound keeps it."""

from collections.abc import Mapping, Sequence

import pytest

from chaos.checker.bounds import check_back, check_let_go
from chaos.checker.invariants import consumers
from chaos.checker.record import CannotBeChecked, Record
from chaos.checker.shapes import Happening, Said
from contracts.events import Event, Failure
from tests.chaos.checker.given import (
    WORKFLOW,
    a_run,
    a_run_of,
    at,
    bound,
    breaks,
    changed,
    entries,
    happening,
    holds,
    operated,
)
from tests.contracts.given import blog_written, claimed, completed, drawn, gave_up, posted, requested, resumed

USED_UP = Failure(code="quota-used-up", message="The quota is used up.", retryable=True)

FAILED: tuple[Event, ...] = (requested(), claimed("blog"), gave_up("blog", error=USED_UP))
GOES_ON: tuple[Event, ...] = (
    resumed(),
    claimed("blog", run=2),
    blog_written(run=2),
    claimed("social:linkedin", run=2),
    posted(run=2),
    claimed("illustration", run=2),
    drawn(run=2),
    completed(run=2),
)
PARKED = {WORKFLOW: "failed"}


def redriven(
    events: Sequence[Event] = FAILED + GOES_ON, *, before: Mapping[str, str] = PARKED, code: int = 0
) -> Record:
    """A workflow failed, and was parked when the log held three events."""
    log = entries(events)
    return a_run_of(log, clients=operated(log, before=before, position=3, code=code))


class TestParked:
    def test_what_failed_and_was_redriven_holds(self) -> None:
        assert holds(consumers.check, redriven()).looked_at == {"consumers": 3, "redriven": 1, "held": 0}

    def test_what_failed_and_is_not_listed_is_found(self) -> None:
        breaks(consumers.check, redriven(before={}), "is listed as nothing before the redrive, at position 3")

    def test_what_was_listed_and_does_not_go_on_is_found(self) -> None:
        breaks(consumers.check, redriven(FAILED), "does not go on by the redrive")

    def test_what_still_is_parked_in_the_end_has_to_be_listed_then(self) -> None:
        breaks(consumers.check, redriven(FAILED), "is listed as nothing after the redrive")

    def test_what_goes_on_by_itself_may_not_be_listed(self) -> None:
        events = [*FAILED[:2], blog_written()]
        breaks(consumers.check, redriven(events), "is listed as failed before the redrive, at position 3; by the log")

    def test_what_would_fail_again_is_not_parked(self) -> None:
        events = [*FAILED[:2], gave_up("blog")]
        holds(consumers.check, redriven(events, before={}))
        breaks(consumers.check, redriven(events), "by the log it is nothing")

    def test_what_was_resumed_before_the_list_is_not_parked(self) -> None:
        log = entries(FAILED + GOES_ON)
        holds(consumers.check, a_run_of(log, clients=operated(log, before={}, position=4)))

    def test_what_nobody_can_read_is_listed_as_held_and_stays_so(self) -> None:
        log = entries(FAILED)
        log = [*log[:2], changed(log[2], body=b"not JSON")]
        told = [one.what for one in consumers.check(a_run_of(log)).violations]
        assert told == ["a workflow cannot go on, and is not listed"], "the quarantine alone lacks it"
        breaks(consumers.check, a_run_of(log, clients=operated(log, before={})), "by the log it is held")

    @pytest.mark.parametrize("code", [1, 2])
    def test_redrive_that_fails_is_found(self, code: int) -> None:
        breaks(consumers.check, redriven(code=code), f"the redrive ended with {code} and not with 0")

    def test_redrive_that_hides_what_is_held_is_found(self) -> None:
        log = entries(FAILED)
        log = [*log[:2], changed(log[2], body=b"not JSON")]
        breaks(consumers.check, a_run_of(log, clients=operated(log, code=0)), "ended with 0 and not with 1")

    @pytest.mark.parametrize("left_out", [0, 1, 2])
    def test_run_without_the_operator_cannot_be_checked(self, left_out: int) -> None:
        told = operated(a_run().log)
        del told[left_out]
        with pytest.raises(CannotBeChecked, match="redrive"):
            consumers.check(a_run(clients=told))


def kept(one: Said, *happened: Happening) -> Record:
    return a_run(clients=[one], happened=[*happened, happening("calm", at(5)), happening("end", at(60))])


class TestBounds:
    def test_what_is_done_within_its_bound_holds(self) -> None:
        assert holds(check_let_go, kept(bound(9.9))).looked_at == {"bounds": 1, "met by another fault": 0}

    def test_each_fault_has_a_line_of_its_own(self) -> None:
        record = kept(bound(9.9, client="gateway-killed-8"))
        assert (check_let_go(record).is_idle, holds(check_back, record).number) == (True, "F21")

    def test_what_is_late_is_found(self) -> None:
        breaks(check_let_go, kept(bound(16.0)), "closed: never reads: after 16.0 s; 10 s are the most")

    def test_what_is_never_done_is_found(self) -> None:
        breaks(check_let_go, kept(bound(20.0, "failed")), "not even after 20.0 s")

    @pytest.mark.parametrize("kind", ["gateway-killed", "rolling", "clock"])
    def test_what_ends_with_the_gateway_is_not_judged(self, kind: str) -> None:
        other = happening(kind, at(3), phase="fired", step=7, target="gateway-1")
        found = check_let_go(kept(bound(20.0, "failed"), other))
        assert (found.violations, found.looked_at) == ((), {"bounds": 0, "met by another fault": 1})

    def test_log_that_is_away_excuses_only_what_needs_it(self) -> None:
        other = happening("nats-paused", at(3), phase="fired", step=7, target="nats")
        breaks(check_let_go, kept(bound(20.0, "failed"), other), "not even after")
        assert not check_let_go(kept(bound(20.0, "failed", needs_log=True), other)).violations

    @pytest.mark.parametrize(("kind", "target"), [("call", "writer-1"), ("live-lost", "gateway")])
    def test_fault_that_leaves_the_gateway_alone_is_no_excuse(self, kind: str, target: str) -> None:
        other = happening(kind, at(3), phase="fired", step=7, target=target)
        breaks(check_let_go, kept(bound(20.0, "failed"), other), "not even after")

    def test_fault_that_was_over_long_before_is_no_excuse(self) -> None:
        others = [happening("nats-paused", at(0), phase=phase, step=7, target="nats") for phase in ("fired", "healed")]
        breaks(check_let_go, kept(bound(20.0, "failed", needs_log=True), *others), "not even after")

    def test_fault_that_has_the_bound_is_no_excuse_for_itself(self) -> None:
        itself = happening("gateway-killed", at(3), phase="fired", step=8, target="gateway-1")
        breaks(check_back, kept(bound(20.0, client="gateway-killed-8"), itself), "after 20.0 s")

    def test_bound_that_is_not_told_well_cannot_be_checked(self) -> None:
        with pytest.raises(CannotBeChecked, match="bound"):
            check_let_go(kept(bound(3.0).model_copy(update={"data": {"what": "?"}})))
