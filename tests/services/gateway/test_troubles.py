"""The troubles: what is wrong is told in a sentence, and what is in order is not."""

from typing import Any

import pytest

from contracts.presence import HEARD_WITHIN_S
from services.gateway import troubles
from services.gateway.status_shapes import LogTold, ProcessTold, ProjectionTold, ReplicaTold, ServiceTold
from services.gateway.troubles import BEHIND_MAX_S, FULL_SHARE, LAG_MAX, TROUBLES_MAX
from tests.services.gateway.read_tables import LONG_AGO


def process(**parts: str) -> ProcessTold:
    return ProcessTold(
        worker="writer@press:1",
        host="press",
        started_at=LONG_AGO,
        heard_at=LONG_AGO,
        ready=all(what == "ok" for what in parts.values()),
        parts=parts,
        slots=1,
        busy=0,
    )


def of_services(*processes: ProcessTold, listens_s: float = 60) -> list[str]:
    return list(troubles.of_services([ServiceTold(service="writer", processes=list(processes))], listens_s=listens_s))


def of_log(share: float, bytes_max: int | None = 1_000_000) -> list[str]:
    told = LogTold(events=1, bytes=round(1_000_000 * share), last_position=1, bytes_max=bytes_max)
    return list(troubles.of_log(told))


def of_projection(behind_s: float | None = None, **told: Any) -> list[str]:
    usual = {"position": 5, "lag": 0, "held": 0, "moved_at": LONG_AGO, "generation": 1}
    return list(troubles.of_projection(ProjectionTold.model_validate(usual | told), behind_s=behind_s))


class TestServices:
    def test_process_in_order_is_no_trouble(self) -> None:
        assert of_services(process(nats="ok", consumer="ok")) == []

    def test_process_in_trouble_names_its_part(self) -> None:
        told = of_services(process(nats="ok", consumer="it is refused"), process(nats="ok"))
        assert told == ["writer@press:1 is not ready: consumer: it is refused."]

    def test_service_that_nobody_hears_is_told(self) -> None:
        assert of_services() == ["No process of the service writer was heard within the last 15 s."]

    def test_gateway_that_has_just_begun_to_listen_says_so(self) -> None:
        told = of_services(listens_s=HEARD_WITHIN_S - 10)
        assert told == ["No process of the service writer was heard yet; this gateway has listened for 5 s."]


class TestTheLog:
    @pytest.mark.parametrize("share", [0, 0.5, FULL_SHARE])
    def test_log_with_room_is_no_trouble(self, share: float) -> None:
        assert of_log(share) == []

    def test_log_that_fills_up_is_told(self) -> None:
        (told,) = of_log(0.84)
        assert "84 % full" in told and "PRESSROOM_LOG_BYTES_MAX" in told

    def test_log_without_a_bound_never_fills_up(self) -> None:
        assert of_log(0.99, bytes_max=None) == []


class TestTheCopiesOfTheLog:
    def of(self, **other: Any) -> list[str]:
        usual = {"is_current": True, "is_there": True, "lag": 0}
        copies = [
            ReplicaTold.model_validate({"server": "pressroom-1", "is_leader": True, **usual}),
            ReplicaTold.model_validate({"server": "pressroom-2", "is_leader": False, **usual, **other}),
        ]
        return list(troubles.of_log(LogTold(events=1, bytes=1, last_position=1, bytes_max=None, replicas=copies)))

    def test_copies_that_follow_are_no_trouble(self) -> None:
        assert self.of() == []

    def test_copy_that_is_a_few_changes_behind_is_no_trouble(self) -> None:
        assert self.of(is_current=False, lag=LAG_MAX) == []

    def test_copy_that_lags_is_told_with_what_it_lacks(self) -> None:
        (told,) = self.of(is_current=False, lag=5_000)
        assert "pressroom-2" in told and "5000 changes" in told

    def test_server_that_is_away_is_told(self) -> None:
        (told,) = self.of(is_current=False, is_there=False)
        assert "pressroom-2 is away" in told

    def test_copies_without_a_leader_are_told(self) -> None:
        (told,) = troubles.of_replicas(
            [ReplicaTold(server="pressroom-1", is_leader=False, is_current=True, is_there=True, lag=0)]
        )
        assert "no leader" in told


class TestTheProjection:
    def test_tables_that_have_everything_are_no_trouble(self) -> None:
        assert of_projection() == []

    def test_tables_a_moment_behind_are_no_trouble(self) -> None:
        assert of_projection(lag=5_000, behind_s=BEHIND_MAX_S) == []

    @pytest.mark.parametrize(("lag", "words"), [(1, "1 event"), (57, "57 events")])
    def test_tables_that_stay_behind_are_told(self, lag: int, words: str) -> None:
        assert of_projection(lag=lag, behind_s=61.4) == [
            f"The read tables lack {words} of the log, the oldest for 61 s."
        ]

    @pytest.mark.parametrize(("held", "words"), [(1, "1 workflow is"), (3, "3 workflows are")])
    def test_held_workflows_are_told(self, held: int, words: str) -> None:
        (told,) = of_projection(held=held)
        assert told.startswith(words) and "/quarantine" in told


class TestTogether:
    def test_few_are_told_as_they_are(self) -> None:
        assert troubles.told(["a", "b"]) == ["a", "b"]

    def test_of_many_the_rest_is_counted(self) -> None:
        told = troubles.told([str(number) for number in range(TROUBLES_MAX + 7)])
        assert (len(told), told[-1]) == (TROUBLES_MAX + 1, "And 7 more.")
