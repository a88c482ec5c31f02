"""The slow fold: each column of the read tables, and what each event, in every odd order too, makes of it."""

import re
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as examples

from contracts.events import (
    AttemptFailed,
    BlogWritten,
    Brief,
    Event,
    IllustrationDrawn,
    Made,
    Source,
    Usage,
    WorkClaimed,
    WorkflowFailed,
    WorkflowRequested,
)
from contracts.platforms import Platform
from contracts.workflow import fold, works
from contracts.works import Work
from services.projector import tables
from services.projector.verify.slow_fold.history import Row
from services.projector.verify.slow_fold.rows import KEYS, rows_of
from tests.contracts.generated import histories, quick
from tests.contracts.given import (
    KEY,
    LATER,
    NOON,
    OVERLOADED,
    REFUSED,
    USAGE,
    as_recorded,
    attempt_failed,
    blog_written,
    cancelled,
    claimed,
    completed,
    drawn,
    everything,
    gave_up,
    posted,
    requested,
    researched,
    resumed,
)

NO_USAGE = {
    "input_tokens": 0,
    "cached_tokens": 0,
    "output_tokens": 0,
    "reasoning_tokens": 0,
    "images": 0,
    "searches": 0,
    "calls": 0,
    "cost_usd": 0.0,
    "cost_known": True,
}
DUMPED = USAGE.model_dump(mode="json")


TABLES = Path(tables.__file__).parent
COLUMN = re.compile(r"    ([a-z0-9_]+) ")
FIVE_WEST = timezone(timedelta(hours=-5))


def rows(table: str, *events: Event) -> list[Row]:
    """The rows of this table after these events."""
    return rows_of(as_recorded(events))[table]


def workflow(*events: Event) -> Row:
    """The one row of the workflow, after a plain request and these events."""
    (row,) = rows("workflows", requested(), *events)
    return row


def work(name: str, *events: Event) -> Row:
    """What the workflow's row says of this work."""
    return next(one for one in workflow(*events)["works"] if one["work"] == name)


def blog_status(*events: Event) -> str:
    return work("blog", *events)["status"]


def blog_attempts(*events: Event) -> list[Row]:
    return work("blog", *events)["attempts"]


def outcomes(*events: Event) -> list[tuple[int, int, str]]:
    """Run, attempt and outcome of each attempt at the blog post."""
    return [(one["run"], one["attempt"], one["outcome"]) for one in blog_attempts(*events)]


def usage(*events: Event) -> Row:
    return workflow(*events)["usage"]


def costing(cost_usd: float | None, **counts: Any) -> Usage:
    return Usage(provider="openai", model="gpt-6-luna", cost_usd=cost_usd, **counts)


def blog_for(used: Usage | None, **changes: Any) -> BlogWritten:
    return blog_written().model_copy(update={"usage": used, **changes})


def failure(**changes: Any) -> AttemptFailed:
    return attempt_failed("blog").model_copy(update=changes)


def give_up(**changes: Any) -> WorkflowFailed:
    return gave_up("blog").model_copy(update=changes)


def columns(table: str) -> set[str]:
    """Those that the table's SQL declares, but for the generated ones."""
    lines = (TABLES / f"{table}.sql").read_text().partition(");")[0].splitlines()
    return {found[1] for line in lines if "GENERATED" not in line and (found := COLUMN.match(line))}


def second(revision: int) -> str:
    """When the event of this revision was recorded, as texts tell it."""
    return (NOON + timedelta(seconds=revision)).isoformat()


class TestWhenNothingHappened:
    def test_no_table_has_a_row(self) -> None:
        assert rows_of([]) == {table: [] for table in KEYS}


class TestWhenRequested:
    def test_the_row_tells_what_was_asked_for(self) -> None:
        asked = WorkflowRequested(
            topic="Tea",
            research=True,
            platforms=(Platform.X, Platform.LINKEDIN),
            brief=Brief(tone="dry"),
            client_request_id="mine-1",
        )
        (row,) = rows("workflows", asked)
        assert (row["owner"], row["workflow_id"]) == KEY
        assert (row["topic"], row["research"], row["client_request_id"]) == ("Tea", True, "mine-1")
        assert row["platforms"] == ["x", "linkedin"]
        assert row["brief"] == {"tone": "dry", "audience": None, "language": None, "length": None}

    def test_its_first_run_is_open(self) -> None:
        row = workflow()
        assert (row["status"], row["run"], row["closed_at"]) == ("open", 1, None)

    def test_nothing_is_known_beyond_the_request(self) -> None:
        row = workflow()
        assert {row[name] for name in ("title", "notes", "error", "reason")} == {None}
        assert row["usage"] == NO_USAGE

    def test_every_work_asked_for_is_missing_in_order(self) -> None:
        (row,) = rows("workflows", requested(research=True, platforms=("x", "linkedin")))
        assert row["works"] == [
            {"work": name, "status": "missing", "attempts": [], "usage": NO_USAGE}
            for name in ("research", "blog", "social:x", "social:linkedin", "illustration")
        ]

    def test_research_is_no_work_unless_asked_for(self) -> None:
        assert [one["work"] for one in workflow()["works"]] == ["blog", "social:linkedin", "illustration"]

    def test_no_artefact_has_a_row(self) -> None:
        assert [rows(table, requested()) for table in KEYS if table != "workflows"] == [[], [], [], []]

    def test_every_table_has_the_columns_of_its_sql(self) -> None:
        asked = requested(research=True)
        told = rows_of(as_recorded([asked, researched(), blog_written(), posted(), drawn()]))
        assert {table: set(row) for table, (row, *_) in told.items()} == {table: columns(table) for table in KEYS}


class TestWithEachEvent:
    def test_revision_position_and_time_are_the_last_events(self) -> None:
        row = workflow(claimed("blog"), blog_written())
        assert (row["revision"], row["position"]) == (3, 103)
        assert row["updated_at"] == NOON + timedelta(seconds=3)

    def test_the_request_keeps_its_own_place_and_time(self) -> None:
        row = workflow(claimed("blog"), blog_written())
        assert (row["requested_position"], row["requested_at"]) == (101, NOON + timedelta(seconds=1))

    def test_times_are_kept_in_the_zone_of_their_writer(self) -> None:
        history = as_recorded([requested(), claimed("blog")])
        local = replace(history[1], recorded_at=history[1].recorded_at.astimezone(FIVE_WEST))
        attempt = rows_of([history[0], local])["workflows"][0]["works"][0]["attempts"][0]
        assert attempt["claimed_at"] == "2027-03-01T07:00:02-05:00"


class TestWhenClaimed:
    def test_an_attempt_runs(self) -> None:
        assert blog_attempts(claimed("blog", worker="w-7")) == [
            {
                "run": 1,
                "attempt": 1,
                "worker": "w-7",
                "claimed_at": second(2),
                "ended_at": None,
                "outcome": "running",
                "error": None,
                "retry_at": None,
                "cost_known": None,
                "usage": None,
            }
        ]

    def test_the_work_is_claimed(self) -> None:
        assert blog_status(claimed("blog")) == "claimed"

    def test_other_works_are_untouched(self) -> None:
        untouched: Row = {"work": "illustration", "status": "missing", "attempts": [], "usage": NO_USAGE}
        assert work("illustration", claimed("blog")) == untouched

    def test_a_claim_over_a_running_attempt_loses_it(self) -> None:
        lost, running = blog_attempts(claimed("blog"), claimed("blog", 2))
        assert (lost["outcome"], lost["ended_at"], lost["cost_known"]) == ("lost", second(3), False)
        assert (running["outcome"], running["attempt"]) == ("running", 2)

    def test_a_claim_loses_nothing_of_another_work(self) -> None:
        assert outcomes(claimed("blog"), claimed("illustration")) == [(1, 1, "running")]

    def test_a_claim_after_a_failure_loses_nothing(self) -> None:
        assert outcomes(claimed("blog"), attempt_failed("blog"), claimed("blog", 2)) == [
            (1, 1, "failed"),
            (1, 2, "running"),
        ]

    def test_a_claim_after_a_failure_is_claimed_again(self) -> None:
        assert blog_status(claimed("blog"), attempt_failed("blog"), claimed("blog", 2)) == "claimed"

    def test_each_lost_attempt_is_lost_at_the_next_claim(self) -> None:
        told = blog_attempts(claimed("blog", 1), claimed("blog", 2), claimed("blog", 3))
        assert [one["ended_at"] for one in told] == [second(3), second(4), None]

    def test_a_second_claim_of_one_number_is_another_attempt(self) -> None:
        told = blog_attempts(claimed("blog", worker="a"), claimed("blog", worker="b"), blog_written())
        assert [(one["worker"], one["outcome"]) for one in told] == [("a", "lost"), ("b", "made")]

    def test_a_claim_of_what_is_made_changes_no_status(self) -> None:
        assert blog_status(blog_written(), claimed("blog", 2)) == "made"


class TestWhenMade:
    def test_the_attempt_is_made_and_tells_its_usage(self) -> None:
        (made,) = blog_attempts(claimed("blog"), blog_written())
        assert (made["outcome"], made["ended_at"], made["cost_known"]) == ("made", second(3), True)
        assert (made["error"], made["retry_at"], made["usage"]) == (None, None, DUMPED)

    def test_usage_that_was_not_told_is_null(self) -> None:
        (made,) = blog_attempts(claimed("blog"), blog_for(None))
        assert (made["usage"], made["cost_known"]) == (None, True)

    @pytest.mark.parametrize(
        ("name", "made"),
        [("research", researched()), ("blog", blog_written()), ("social:x", posted("x")), ("illustration", drawn())],
    )
    def test_every_artefact_makes_its_own_work(self, name: str, made: Made) -> None:
        asked = requested(research=True, platforms=("x", "linkedin"))
        (row,) = rows("workflows", asked, claimed(name), made)
        assert {one["work"] for one in row["works"] if one["status"] == "made"} == {name}

    def test_made_stays_made_after_a_cancel(self) -> None:
        assert blog_status(blog_written(), cancelled()) == "made"

    def test_made_stays_made_after_a_resume(self) -> None:
        assert blog_status(blog_written(), cancelled(), resumed()) == "made"

    def test_made_stays_made_after_a_late_failure(self) -> None:
        assert blog_status(blog_written(2), attempt_failed("blog", 1)) == "made"

    def test_made_stays_made_when_its_work_is_given_up(self) -> None:
        assert blog_status(blog_written(2), gave_up("blog", 1)) == "made"

    def test_a_late_success_mends_a_lost_attempt(self) -> None:
        told = blog_attempts(claimed("blog"), claimed("blog", 2), blog_written(1))
        assert [one["outcome"] for one in told] == ["made", "running"]
        assert (told[0]["ended_at"], told[0]["cost_known"]) == (second(4), True)

    def test_a_late_success_mends_a_failed_attempt(self) -> None:
        (mended,) = blog_attempts(claimed("blog"), attempt_failed("blog"), blog_written())
        assert (mended["outcome"], mended["error"], mended["retry_at"]) == ("made", None, None)

    def test_a_late_success_mends_a_work_that_was_given_up(self) -> None:
        told = (claimed("blog"), gave_up("blog"), blog_written())
        assert (outcomes(*told), blog_status(*told)) == ([(1, 1, "made")], "made")

    def test_a_late_success_mends_an_attempt_that_was_called_off(self) -> None:
        told = (claimed("blog"), cancelled(), blog_written())
        assert (outcomes(*told), blog_status(*told)) == ([(1, 1, "made")], "made")

    def test_a_late_success_opens_no_run(self) -> None:
        row = workflow(claimed("blog"), cancelled(), blog_written())
        assert (row["status"], row["closed_at"]) == ("cancelled", NOON + timedelta(seconds=3))

    def test_a_success_of_an_older_run_ends_its_own_attempt(self) -> None:
        told = (claimed("blog"), cancelled(), resumed(), claimed("blog", run=2), blog_written(1, run=1))
        assert outcomes(*told) == [(1, 1, "made"), (2, 1, "running")]

    def test_a_success_without_a_claim_adds_its_attempt(self) -> None:
        (added,) = blog_attempts(blog_written(3))
        assert (added["attempt"], added["worker"], added["claimed_at"]) == (3, None, None)
        assert (added["outcome"], added["ended_at"]) == ("made", second(2))

    def test_an_added_attempt_stands_where_it_first_occurs(self) -> None:
        told = (claimed("blog", 2), blog_written(1), attempt_failed("blog", 2))
        assert outcomes(*told) == [(1, 2, "failed"), (1, 1, "made")]


class TestWhenAnAttemptFailed:
    def test_the_attempt_tells_why_and_when_again(self) -> None:
        (failed,) = blog_attempts(claimed("blog"), attempt_failed("blog"))
        assert (failed["outcome"], failed["ended_at"]) == ("failed", second(3))
        assert failed["error"] == {"code": OVERLOADED.code, "message": OVERLOADED.message, "retryable": True}
        assert failed["retry_at"] == LATER.isoformat()

    def test_the_work_is_retrying(self) -> None:
        assert blog_status(claimed("blog"), attempt_failed("blog")) == "retrying"

    @pytest.mark.parametrize("is_known", [True, False])
    def test_its_cost_is_as_known_as_the_event_says(self, is_known: bool) -> None:
        (failed,) = blog_attempts(claimed("blog"), failure(cost_known=is_known))
        assert failed["cost_known"] is is_known

    def test_its_usage_is_told(self) -> None:
        (failed,) = blog_attempts(claimed("blog"), failure(usage=USAGE))
        assert failed["usage"] == DUMPED

    def test_a_late_failure_of_a_lost_attempt_is_its_end(self) -> None:
        told = blog_attempts(claimed("blog"), claimed("blog", 2), attempt_failed("blog", 1))
        assert [one["outcome"] for one in told] == ["failed", "running"]
        assert told[0]["ended_at"] == second(4)

    def test_a_failure_without_a_claim_adds_its_attempt(self) -> None:
        (added,) = blog_attempts(attempt_failed("blog", 2))
        assert (added["attempt"], added["worker"], added["claimed_at"]) == (2, None, None)
        assert added["outcome"] == "failed"

    def test_the_workflow_stays_open(self) -> None:
        row = workflow(claimed("blog"), attempt_failed("blog"))
        assert (row["status"], row["error"]) == ("open", None)


class TestWhenFailed:
    def test_the_attempt_gave_up(self) -> None:
        (last,) = blog_attempts(claimed("blog"), gave_up("blog"))
        assert (last["outcome"], last["ended_at"], last["retry_at"]) == ("gave-up", second(3), None)
        assert last["error"] == {"code": REFUSED.code, "message": REFUSED.message, "retryable": False}
        assert last["cost_known"] is True

    def test_its_cost_may_be_unknown(self) -> None:
        (last,) = blog_attempts(claimed("blog"), give_up(cost_known=False, usage=USAGE))
        assert (last["cost_known"], last["usage"]) == (False, DUMPED)

    def test_the_work_failed(self) -> None:
        assert blog_status(claimed("blog"), gave_up("blog")) == "failed"

    def test_the_row_tells_the_work_and_why(self) -> None:
        row = workflow(claimed("blog"), gave_up("blog"))
        assert (row["status"], row["closed_at"]) == ("failed", NOON + timedelta(seconds=3))
        assert row["error"] == {
            "work": "blog",
            "code": REFUSED.code,
            "message": REFUSED.message,
            "retryable": False,
        }

    def test_a_lost_attempt_that_is_given_up_gave_up(self) -> None:
        told = (claimed("blog"), cancelled(), resumed(), gave_up("blog", 1, run=1))
        assert outcomes(*told) == [(1, 1, "gave-up")]

    def test_attempts_of_other_works_run_on(self) -> None:
        told = (blog_written(), claimed("illustration"), claimed("social:linkedin"), gave_up("social:linkedin"))
        assert work("illustration", *told)["attempts"][0]["outcome"] == "running"
        assert work("illustration", *told)["status"] == "claimed"

    def test_a_work_given_up_without_a_claim_has_an_attempt(self) -> None:
        (added,) = blog_attempts(gave_up("blog", 5))
        assert (added["attempt"], added["outcome"], added["worker"]) == (5, "gave-up", None)

    def test_another_failure_is_told_in_its_place(self) -> None:
        row = workflow(gave_up("blog"), resumed(), gave_up("illustration", run=2, error=OVERLOADED))
        assert (row["error"]["work"], row["error"]["code"]) == ("illustration", OVERLOADED.code)


class TestWhenCancelled:
    def test_the_row_is_cancelled_with_its_reason(self) -> None:
        row = workflow(cancelled(reason="too late"))
        assert (row["status"], row["reason"], row["error"]) == ("cancelled", "too late", None)
        assert row["closed_at"] == NOON + timedelta(seconds=2)

    def test_every_running_attempt_is_called_off(self) -> None:
        told = (claimed("blog"), claimed("illustration"), cancelled())
        ends = [work(name, *told)["attempts"][0] for name in ("blog", "illustration")]
        assert [(one["outcome"], one["ended_at"], one["cost_known"]) for one in ends] == [
            ("called-off", second(4), False)
        ] * 2

    def test_attempts_that_had_ended_stay_as_they_were(self) -> None:
        told = (claimed("blog"), claimed("blog", 2), attempt_failed("blog", 2), cancelled())
        assert outcomes(*told) == [(1, 1, "lost"), (1, 2, "failed")]

    def test_works_that_are_not_made_are_missing(self) -> None:
        told = (blog_written(), claimed("illustration"), attempt_failed("social:linkedin"), cancelled())
        assert [one["status"] for one in workflow(*told)["works"]] == ["made", "missing", "missing"]

    def test_an_older_error_is_gone(self) -> None:
        assert workflow(gave_up("blog"), cancelled())["error"] is None

    def test_a_claim_after_it_is_claimed_all_the_same(self) -> None:
        told = (cancelled(), claimed("blog"))
        assert (outcomes(*told), blog_status(*told)) == ([(1, 1, "running")], "claimed")


class TestWhenResumed:
    def test_the_next_run_is_open(self) -> None:
        row = workflow(cancelled(), resumed(2))
        assert (row["status"], row["run"], row["closed_at"]) == ("open", 2, None)

    def test_the_run_is_the_one_that_the_event_names(self) -> None:
        assert workflow(cancelled(), resumed(7))["run"] == 7

    def test_the_error_is_gone(self) -> None:
        assert workflow(gave_up("blog"), resumed())["error"] is None

    def test_its_reason_replaces_the_cancels(self) -> None:
        assert workflow(cancelled(reason="too late"), resumed(reason="not too late"))["reason"] == "not too late"

    def test_no_reason_replaces_one_too(self) -> None:
        assert workflow(cancelled(reason="too late"), resumed())["reason"] is None

    def test_every_running_attempt_is_lost(self) -> None:
        told = (claimed("blog"), claimed("illustration"), gave_up("illustration"), resumed())
        (lost,) = blog_attempts(*told)
        assert (lost["outcome"], lost["ended_at"], lost["cost_known"]) == ("lost", second(5), False)

    def test_what_was_called_off_stays_called_off(self) -> None:
        (ended,) = blog_attempts(claimed("blog"), cancelled(), resumed())
        assert (ended["outcome"], ended["ended_at"]) == ("called-off", second(3))

    def test_a_failed_work_is_missing_again(self) -> None:
        assert blog_status(gave_up("blog"), resumed()) == "missing"

    def test_attempts_of_every_run_are_kept(self) -> None:
        told = (claimed("blog"), gave_up("blog"), resumed(), claimed("blog", run=2), blog_written(run=2))
        assert outcomes(*told) == [(1, 1, "gave-up"), (2, 1, "made")]


class TestWhenCompleted:
    def test_the_run_is_closed(self) -> None:
        (row,) = rows("workflows", *everything(), completed())
        assert (row["status"], row["closed_at"]) == ("completed", NOON + timedelta(seconds=5))

    def test_nothing_else_changes(self) -> None:
        (before,), (after,) = (rows("workflows", *everything(), *more) for more in ((), (completed(),)))
        changed = {name for name in after if after[name] != before[name]}
        assert changed == {"status", "closed_at", "revision", "position", "updated_at"}

    def test_an_attempt_that_runs_is_left_running(self) -> None:
        assert outcomes(blog_written(1), claimed("blog", 2), completed())[1] == (1, 2, "running")

    def test_the_reason_of_the_resume_is_kept(self) -> None:
        assert workflow(cancelled(), resumed(reason="go on"), completed(run=2))["reason"] == "go on"


class TestWorksThatWereNotAskedFor:
    def test_they_stand_behind_the_others_as_they_first_occur(self) -> None:
        told = (posted("x"), claimed("research"), claimed("blog"), posted("facebook"), researched())
        assert [one["work"] for one in workflow(*told)["works"]] == [
            *("blog", "social:linkedin", "illustration"),
            *("social:x", "research", "social:facebook"),
        ]

    @pytest.mark.parametrize("event", [attempt_failed("social:x"), gave_up("social:x"), claimed("social:x")])
    def test_any_event_that_names_one_shows_it(self, event: Event) -> None:
        assert workflow(event)["works"][-1]["work"] == "social:x"

    def test_a_cancel_leaves_them_missing_too(self) -> None:
        assert work("social:x", claimed("social:x"), cancelled())["status"] == "missing"


class TestTitleAndNotes:
    def test_the_title_is_the_last_blog_posts(self) -> None:
        assert workflow(blog_written(title="Tea"), blog_written(2, title="More tea"))["title"] == "More tea"

    def test_the_notes_are_what_research_found(self) -> None:
        assert workflow(researched())["notes"] == "Tea is old."


class TestUsage:
    def test_counts_are_summed_over_all_that_tells_of_usage(self) -> None:
        used = costing(0.5, input_tokens=1, cached_tokens=2, output_tokens=3, reasoning_tokens=4, images=5, searches=6)
        told = (blog_for(used), failure(usage=used), give_up(usage=used))
        sums = {"input_tokens": 3, "cached_tokens": 6, "output_tokens": 9, "reasoning_tokens": 12}
        assert usage(*told) == {**sums, "images": 15, "searches": 18, "calls": 3, "cost_usd": 1.5, "cost_known": True}

    def test_costs_are_summed_as_they_are_written(self) -> None:
        assert usage(*(failure(usage=costing(cost)) for cost in (0.1, 0.2, 0.000000001)))["cost_usd"] == 0.300000001

    def test_costs_are_summed_in_order_and_one_by_one(self) -> None:
        costs = (1e16, 1.0, 1.0)  # beside so much, a single dollar cannot be told
        assert usage(*(failure(usage=costing(cost)) for cost in costs))["cost_usd"] == 1e16

    def test_a_cost_that_is_not_known_adds_nothing(self) -> None:
        told = usage(failure(usage=costing(0.25)), blog_for(costing(None, output_tokens=7)))
        assert (told["cost_usd"], told["output_tokens"], told["cost_known"]) == (0.25, 7, False)

    def test_an_artefact_that_tells_no_usage_hides_no_cost(self) -> None:
        assert usage(blog_for(None)) == NO_USAGE

    def test_a_running_attempt_hides_no_cost_yet(self) -> None:
        assert usage(claimed("blog"))["cost_known"] is True

    def test_a_failure_that_may_have_been_billed_hides_cost(self) -> None:
        assert usage(failure(cost_known=False))["cost_known"] is False

    def test_giving_up_what_may_have_been_billed_hides_cost(self) -> None:
        assert usage(give_up(cost_known=False))["cost_known"] is False

    @pytest.mark.parametrize("silencer", [claimed("blog", 2), cancelled(), resumed()])
    def test_an_attempt_that_fell_silent_hides_cost(self, silencer: Event) -> None:
        assert usage(claimed("blog"), silencer)["cost_known"] is False

    def test_a_late_word_does_not_uncover_the_cost(self) -> None:
        assert usage(claimed("blog"), claimed("blog", 2), blog_written(1))["cost_known"] is False

    def test_a_resume_keeps_the_sums(self) -> None:
        assert usage(blog_written(), cancelled(), resumed())["input_tokens"] == USAGE.input_tokens

    def test_completion_hides_no_cost(self) -> None:
        assert usage(claimed("blog"), completed())["cost_known"] is True


class TestUsageOfAWork:
    def test_each_work_has_the_sums_of_its_own_attempts(self) -> None:
        failed, made = costing(0.1, input_tokens=5), costing(0.2, input_tokens=7)
        told = (claimed("blog"), failure(usage=failed), claimed("blog", 2), blog_for(made, attempt=2))
        sums = {**NO_USAGE, "input_tokens": 12, "calls": 2, "cost_usd": 0.3}
        assert (work("blog", *told)["usage"], work("illustration", *told)["usage"]) == (sums, NO_USAGE)

    def test_both_usages_of_an_attempt_told_of_twice_count(self) -> None:
        told = work("blog", claimed("blog"), failure(usage=costing(0.1)), blog_for(costing(0.2)))
        assert [one["usage"]["cost_usd"] for one in told["attempts"]] == [0.2]
        assert (told["usage"]["calls"], told["usage"]["cost_usd"]) == (2, 0.3)

    def test_unpriced_attempt_hides_cost_of_its_work_alone(self) -> None:
        told = (blog_for(costing(None, output_tokens=7)), posted())
        assert [work(name, *told)["usage"]["cost_known"] for name in ("blog", "social:linkedin")] == [False, True]
        assert work("blog", *told)["attempts"][0]["cost_known"] is False
        assert usage(*told)["cost_known"] is False

    @pytest.mark.parametrize("silencer", [claimed("blog", 2), cancelled(), resumed()])
    def test_silent_attempt_hides_cost_of_its_work_alone(self, silencer: Event) -> None:
        told = (claimed("blog"), silencer)
        assert [work(name, *told)["usage"]["cost_known"] for name in ("blog", "illustration")] == [False, True]

    def test_failure_that_may_have_been_billed_hides_cost_of_its_work(self) -> None:
        told = work("blog", claimed("blog"), failure(cost_known=False, usage=costing(0.1)))["usage"]
        assert (told["cost_usd"], told["cost_known"]) == (0.1, False)

    def test_work_that_nobody_asked_for_has_its_usage_too(self) -> None:
        extra = posted("x").model_copy(update={"usage": costing(0.1)})
        assert work("social:x", extra)["usage"] == {**NO_USAGE, "calls": 1, "cost_usd": 0.1}

    @quick
    @examples(histories())
    def test_works_add_up_to_the_workflow(self, history: tuple[Event, ...]) -> None:
        (row,) = rows("workflows", *history)
        for name in NO_USAGE.keys() - {"cost_usd", "cost_known"}:
            assert sum(one["usage"][name] for one in row["works"]) == row["usage"][name]
        assert sum(one["usage"]["cost_usd"] for one in row["works"]) == pytest.approx(row["usage"]["cost_usd"])
        assert all(one["usage"]["cost_known"] for one in row["works"]) is row["usage"]["cost_known"]


class TestArtefacts:
    def test_a_blog_post_is_a_row(self) -> None:
        told = (requested(research=True), researched(), blog_written(title="Tea", cited=(2, 1)))
        assert rows("blog_posts", *told) == [
            {
                "id": "id-3",
                "owner": KEY.owner,
                "workflow_id": KEY.workflow_id,
                "edition": 1,
                "position": 103,
                "title": "Tea",
                "markdown": "# Tea\n\nA leaf.",
                "cited": [2, 1],
                "usage": DUMPED,
                "written_at": NOON + timedelta(seconds=3),
            }
        ]

    def test_each_social_post_is_a_row(self) -> None:
        told = (requested(platforms=("x", "linkedin")), posted("x"), posted("linkedin"))
        assert rows("social_media_posts", *told) == [
            {
                "id": f"id-{revision}",
                "owner": KEY.owner,
                "workflow_id": KEY.workflow_id,
                "platform": platform,
                "edition": 1,
                "position": 100 + revision,
                "text": "Tea!",
                "length": 4,
                "usage": None,
                "written_at": NOON + timedelta(seconds=revision),
            }
            for revision, platform in ((2, "x"), (3, "linkedin"))
        ]

    def test_an_illustration_is_a_row(self) -> None:
        picture: IllustrationDrawn = drawn()
        assert rows("images", requested(), picture) == [
            {
                "id": "id-2",
                "owner": KEY.owner,
                "workflow_id": KEY.workflow_id,
                "edition": 1,
                "position": 102,
                "key": picture.key,
                "sha256": "5f",
                "bytes": 1_024,
                "width": 64,
                "height": 48,
                "content_type": "image/png",
                "prompt": picture.prompt,
                "alt_text": picture.alt_text,
                "usage": None,
                "drawn_at": NOON + timedelta(seconds=2),
            }
        ]

    def test_each_source_is_a_row(self) -> None:
        assert rows("sources", requested(research=True), researched(sources=2)) == [
            {
                "owner": KEY.owner,
                "workflow_id": KEY.workflow_id,
                "edition": 1,
                "number": number,
                "position": 102,
                "url": f"https://tea.example/{number}",
                "title": f"Tea {number}",
                "quote": None,
                "retrieved_at": NOON,
            }
            for number in (1, 2)
        ]

    def test_no_source_found_is_no_row(self) -> None:
        assert rows("sources", requested(research=True), researched(sources=0)) == []

    def test_a_quote_is_kept(self) -> None:
        source = Source(number=1, url="https://tea.example", title="Tea", quote="Tea is old.", retrieved_at=NOON)
        (row,) = rows("sources", requested(research=True), researched().model_copy(update={"sources": (source,)}))
        assert row["quote"] == "Tea is old."

    def test_each_edition_is_a_row(self) -> None:
        told = (requested(), blog_for(None), blog_for(None, edition=2, attempt=2))
        assert [(row["edition"], row["position"]) for row in rows("blog_posts", *told)] == [(1, 102), (2, 103)]

    def test_one_edition_written_twice_is_its_last(self) -> None:
        told = (requested(), blog_written(title="Tea"), blog_written(2, title="More tea"))
        assert [row["title"] for row in rows("blog_posts", *told)] == ["More tea"]

    def test_an_artefact_after_a_cancel_is_a_row(self) -> None:
        assert len(rows("images", requested(), cancelled(), drawn())) == 1


class TestBesideTheDecider:
    @quick
    @examples(histories())
    def test_the_row_stands_where_the_decider_stands(self, events: tuple[Event, ...]) -> None:
        (row,) = rows("workflows", *events)
        state = fold(events)
        assert (row["status"], row["run"], row["revision"]) == (state.phase, state.run, state.revision)

    @quick
    @examples(histories())
    def test_what_is_made_is_what_the_decider_has(self, events: tuple[Event, ...]) -> None:
        (row,) = rows("workflows", *events)
        state = fold(events)
        made = [one["work"] for one in row["works"] if one["status"] == "made"]
        assert made == [work.value for work in works(state.asked) if state.artefact(work)]

    @quick
    @examples(histories())
    def test_claimed_is_what_holds_an_open_claim(self, events: tuple[Event, ...]) -> None:
        (row,) = rows("workflows", *events)
        state = fold(events)
        running = {one["work"]: one["attempts"][-1] for one in row["works"] if one["status"] == "claimed"}
        for name, attempt in running.items():
            claim = state.of(Work(name)).claim
            assert claim is not None
            assert (claim.run, claim.attempt, claim.worker) == (attempt["run"], attempt["attempt"], attempt["worker"])

    @quick
    @examples(histories())
    def test_every_claim_is_one_attempt(self, events: tuple[Event, ...]) -> None:
        (row,) = rows("workflows", *events)
        attempts = [attempt for one in row["works"] for attempt in one["attempts"]]
        claims = [event for event in events if isinstance(event, WorkClaimed)]
        assert len(attempts) == len({(one.work, one.run, one.attempt) for one in claims})
