"""Invariants 1, 2, 3, 5, 10 and 14: the log, its copies and who waits for it."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from chaos.checker.invariants import appends, clients, consumers, copies, endings, paths, successes
from chaos.checker.record import Record, Text
from chaos.checker.shapes import Append, Consumer, Held, LogState, Seen
from contracts.events import Event
from tests.chaos.checker.given import (
    EPOCH,
    WHOLE,
    a_run,
    a_run_of,
    appended,
    at,
    breaks,
    changed,
    entries,
    happening,
    holds,
    said,
    watched,
)
from tests.contracts.given import (
    NOON,
    attempt_failed,
    blog_written,
    cancelled,
    claimed,
    completed,
    gave_up,
    posted,
    requested,
    researched,
    resumed,
)


class TestEndings:
    def test_workflow_that_ends_once_holds(self) -> None:
        found = holds(endings.check, a_run())
        assert found.looked_at == {"accepted requests": 1, "workflows": 1, "runs": 1}

    def test_resumed_workflow_ends_once_more(self) -> None:
        holds(endings.check, a_run([requested(), cancelled(), resumed(), cancelled(run=2)]))

    def test_workflow_that_never_ends_is_found(self) -> None:
        breaks(endings.check, a_run(WHOLE[:-1]), "never ended")

    def test_second_end_of_a_run_is_found(self) -> None:
        breaks(endings.check, a_run([requested(), cancelled(), cancelled()]), "run 1 ends 2 times")

    def test_accepted_request_that_the_log_does_not_know_is_found(self) -> None:
        lost = said("request", "ok", id=9, workflow_id="nobody", status=202)
        found = breaks(endings.check, a_run(clients=[lost]), "the log knows no such workflow")
        assert "nobody" in "\n".join(found.words())

    def test_end_long_after_the_faults_is_found(self) -> None:
        early = [happening("calm", at(8) - endings.BOUND_S - 1), happening("end", at(9))]
        breaks(endings.check, a_run(happened=early), "after the faults")

    def test_workflow_that_nobody_can_read_need_not_end(self) -> None:
        log = entries(WHOLE[:3])
        holds(endings.check, a_run_of([*log[:2], changed(log[2], body=b"not JSON")]))


class TestSuccesses:
    def test_each_work_once_holds(self) -> None:
        assert holds(successes.check, a_run()).looked_at == {"successes": 3, "complete workflows": 1}

    def test_second_success_is_found(self) -> None:
        breaks(
            successes.check, a_run([*WHOLE[:5], posted(), *WHOLE[5:]]), "social:linkedin, edition 1, is made 2 times"
        )

    def test_complete_workflow_that_lacks_a_work_is_found(self) -> None:
        breaks(successes.check, a_run([*WHOLE[:5], completed()]), "complete without illustration")


class TestAppends:
    def test_what_was_sent_and_acknowledged_holds(self) -> None:
        assert holds(appends.check, a_run()).looked_at == {"acknowledged appends": 8, "events": 8}

    def test_append_without_an_answer_may_stand_in_the_log(self) -> None:
        sent = [one for one in a_run().appends if one.phase == "sent"]
        holds(appends.check, a_run(appends=sent))

    def test_acknowledged_event_that_is_gone_is_found(self) -> None:
        log = entries(WHOLE)
        found = breaks(
            appends.check, a_run_of(log[:-1], appends=[one for entry in log for one in appended(entry)]), "is not in"
        )
        assert "append acked position 8" in "\n".join(found.words())

    def test_another_event_in_its_place_is_found(self) -> None:
        log = entries(WHOLE)
        other = changed(log[-1], body=log[-1].body + b" ")
        breaks(appends.check, a_run_of([*log[:-1], other], appends=a_run().appends), "the log has another one")

    def test_event_that_nobody_sent_is_found(self) -> None:
        sent = [one for entry in entries(WHOLE)[:-1] for one in appended(entry)]
        breaks(appends.check, a_run(appends=sent), "no writer sent")


EVENING = NOON + timedelta(hours=8)


def illegal(*events: Event) -> list[Event]:
    return [requested(research=True), claimed("research"), researched(), *events]


class TestPaths:
    def test_legal_path_holds(self) -> None:
        assert holds(paths.check, a_run()).looked_at == {"workflows": 1, "events": 8}

    def test_crashed_attempts_late_success_and_resume_are_legal(self) -> None:
        holds(
            paths.check,
            a_run(
                [
                    requested(),
                    claimed("blog"),
                    claimed("blog", 2),
                    cancelled(),
                    blog_written(1),
                    resumed(),
                    claimed("social:linkedin", run=2),
                    gave_up("social:linkedin", run=2),
                ]
            ),
        )

    @pytest.mark.parametrize(
        ("events", "what"),
        [
            (illegal(requested()), "a second request"),
            ([claimed("blog")], "before any request"),
            (illegal(claimed("social:linkedin")), "claimed before blog is made"),
            (illegal(claimed("blog", 2)), "attempt 2 at blog is claimed behind 0 others"),
            (illegal(claimed("research", 2)), "research is claimed although it is made"),
            (illegal(claimed("social:x")), "nobody asked for it"),
            (illegal(cancelled(), claimed("blog")), "run 1 is closed"),
            (illegal(cancelled(), cancelled()), "run 1 is closed"),
            (illegal(resumed()), "run 1, which is open"),
            (illegal(cancelled(), resumed(3)), "run 3 is opened behind run 1"),
            (illegal(blog_written()), "which nobody claimed"),
            (illegal(claimed("blog"), blog_written(cited=[9])), "cites sources that it was not given: [9]"),
            (illegal(claimed("blog"), claimed("blog", 2), attempt_failed("blog")), "does not hold the work"),
            (illegal(claimed("blog"), blog_written(), blog_written()), "made a second time"),
            (illegal(completed()), "completed without blog, illustration, social:linkedin"),
            (
                illegal(claimed("blog"), attempt_failed("blog", retry_at=EVENING), claimed("blog", 2)),
                "before its retry is due",
            ),
            (illegal(*(claimed("blog", n) for n in range(1, 7))), "5 are the most"),
        ],
        ids=lambda told: told if isinstance(told, str) else "",
    )
    def test_illegal_path_is_found(self, events: list[Event], what: str) -> None:
        breaks(paths.check, a_run(events), what)

    def test_gap_is_found(self) -> None:
        log = entries(WHOLE)
        without = [changed(entry, position=n) for n, entry in enumerate([*log[:3], *log[4:]], start=1)]
        breaks(paths.check, a_run_of(without), "revision 5 stands where 4 belongs")

    def test_cause_that_stands_nowhere_is_found(self) -> None:
        log = entries(WHOLE)
        headers = {**log[3].headers, "ce-causationid": "nobody"}
        breaks(paths.check, a_run_of([*log[:3], changed(log[3], headers=headers), *log[4:]]), "the cause nobody")

    def test_event_of_another_service_is_found(self) -> None:
        log = entries(WHOLE)
        other = changed(log[2], subject=log[2].subject.replace(".writer.", ".illustrator."))
        breaks(paths.check, a_run_of([*log[:2], other, *log[3:]]), "blog-written is written by illustrator")


class TestCopies:
    def test_whole_log_and_its_archive_hold(self) -> None:
        assert holds(copies.check, a_run()).looked_at == {"events": 8, "replicas": 1, "archived": 8}

    def test_hole_is_found(self) -> None:
        log = entries(WHOLE)
        breaks(copies.check, a_run_of([*log[:3], *log[4:]]), "the log lacks position 4")

    def test_replica_that_is_short_is_found(self) -> None:
        log = entries(WHOLE)
        breaks(copies.check, a_run(replicas={"node 1": log, "node 2": log[:5]}), "node 2 holds 5 events, the log 8")

    def test_replica_with_another_event_is_found(self) -> None:
        log = entries(WHOLE)
        other = [*log[:4], changed(log[4], body=b"{}"), *log[5:]]
        breaks(copies.check, a_run(replicas={"node 1": log, "node 2": other}), "node 2 has another event at 5")

    def test_stream_that_counts_fewer_is_found(self) -> None:
        short = {"log": LogState(epoch=EPOCH, first=1, last=8, count=7)}
        breaks(copies.check, a_run(log_states=short), "holds 7")

    def test_another_epoch_is_found(self) -> None:
        seen = [Seen(at=at(1), generation=1, epoch="epoch-2", position=1), *a_run().checkpoints]
        breaks(copies.check, a_run(checkpoints=seen), "2 logs were seen")

    def test_event_that_is_not_archived_is_found(self) -> None:
        breaks(copies.check, a_run(archive=a_run().archive[1:]), "the archive lacks position 1")

    def test_archived_event_that_is_another_is_found(self) -> None:
        archive = list(a_run().archive)
        archive[2] = changed(archive[2][0], body=b"{}"), archive[2][1]
        breaks(copies.check, a_run(archive=archive), "the archive has another event at position 3")

    def test_event_that_is_archived_twice_is_found(self) -> None:
        archive = list(a_run().archive)
        breaks(copies.check, a_run(archive=[*archive, archive[0]]), "position 1 2 times")

    def test_archived_event_that_the_log_lost_is_found(self) -> None:
        breaks(copies.check, a_run_of(entries(WHOLE)[:-1], archive=a_run().archive), "the log does not")


class TestConsumers:
    def test_empty_consumers_hold(self) -> None:
        assert holds(consumers.check, a_run()).looked_at == {"consumers": 3, "redriven": 0, "held": 0}

    @pytest.mark.parametrize(
        ("left", "what"),
        [
            (Consumer(pending=2, ack_pending=0), "2 events still wait for writer"),
            (Consumer(pending=0, ack_pending=1), "1 deliveries of writer are stuck"),
        ],
    )
    def test_what_is_left_is_found(self, left: Consumer, what: str) -> None:
        breaks(consumers.check, a_run(consumers={**a_run().consumers, "writer": left}), what)

    def test_consumer_that_is_gone_is_found(self) -> None:
        breaks(consumers.check, a_run(consumers={}), "writer has no consumer")

    def test_delivery_that_nobody_can_read_may_be_in_hand_when_it_is_listed(self) -> None:
        log = entries(WHOLE[:3])
        log = [*log[:2], changed(log[2], body=b"not JSON")]
        parked = Held(owner="local", workflow_id="0195-tea", position=3, subject=log[2].subject, error="?", events=1)
        in_hand = {stage: Consumer(pending=0, ack_pending=2) for stage in a_run().consumers}
        holds(consumers.check, a_run_of(log, consumers=in_hand, quarantine=[parked]))
        breaks(consumers.check, a_run_of(log, consumers=in_hand), "is not listed")
        breaks(consumers.check, a_run(quarantine=[replace_id(parked)]), "the log knows nothing of it")


def replace_id(parked: Held) -> Held:
    return parked.model_copy(update={"workflow_id": "nobody"})


def replace_at(append: Append, moment: float) -> Append:
    return append.model_copy(update={"at": moment})


class TestDamage:
    """A log that was put back to an older copy has truly lost what was not archived yet."""

    DAMAGED = happening("rollback", at(8) + 0.5, step=1, target="log", phase="fired")
    HELD_UP = json.dumps(
        {
            "event": "projection held up",
            "why": "the log ends at 7",
            "timestamp": (NOON + timedelta(seconds=90)).isoformat(),
        }
    )

    def run(self, *, noticed: bool = True) -> Record:
        """The last event was acknowledged half a second before the damage, and is gone."""
        log = entries(WHOLE)
        told = {"happened": [*a_run().happened, self.DAMAGED], "appends": [one for e in log for one in appended(e)]}
        texts = [Text("logs/projector-1.log", self.HELD_UP if noticed else "ready")]
        return a_run_of(log[:-1], **told, texts=texts)

    def test_event_of_the_last_moment_is_forgiven(self) -> None:
        holds(appends.check, self.run())

    def test_event_of_long_before_is_not(self) -> None:
        late = happening("rollback", at(30), step=1, target="log", phase="fired")
        breaks(appends.check, replace(self.run(), happened=[*a_run().happened, late]), "is not in the log")

    def test_event_that_stands_one_place_further_ahead_is_forgiven(self) -> None:
        """One before it was lost, and so a restore has stored it at another position."""
        run = self.run()
        lost, kept = (
            entries([requested()], workflow="lost", behind=len(WHOLE)),
            entries([requested()], workflow="kept", behind=len(WHOLE) + 1),
        )
        moved = replace(kept[0], position=len(WHOLE))
        sent = [replace_at(one, self.DAMAGED.at - 0.1) for entry in (*lost, *kept) for one in appended(entry)]
        holds(appends.check, replace(run, log=[*run.log, moved], appends=[*run.appends, *sent]))

    def test_event_that_was_appended_to_the_damaged_log_may_stand_elsewhere_once_it_is_mended(self) -> None:
        run = self.run()
        (kept,) = entries([requested()], workflow="kept", behind=len(WHOLE) + 1)
        moved = replace(kept, position=len(WHOLE))
        sent = [replace_at(one, self.DAMAGED.at + 5) for one in appended(kept)]
        run = replace(run, log=[*run.log, moved], appends=[*run.appends, *sent])
        mended = happening("rollback", self.DAMAGED.at + 6, step=1, target="log", phase="healed")
        holds(appends.check, replace(run, happened=[*run.happened, mended]))
        breaks(appends.check, run, "is not in the log")

    def test_event_that_a_restore_has_set_aside_is_forgiven(self) -> None:
        run = self.run()
        (aside,) = entries([requested()], workflow="aside", behind=len(WHOLE))
        sent = [replace_at(one, self.DAMAGED.at + 5) for one in appended(aside)]
        run = replace(run, appends=[*run.appends, *sent])
        holds(appends.check, replace(run, set_aside=[aside]))
        breaks(appends.check, run, "is not in the log")

    def test_request_of_the_last_moment_is_forgiven(self) -> None:
        (gone,) = entries([requested()], workflow="lost", behind=len(WHOLE))
        accepted = said("request", "ok", id=9, workflow_id="lost", status=202)
        sent = [replace_at(one, self.DAMAGED.at - 0.1) for one in appended(gone)]
        run = replace(a_run(clients=[accepted]), happened=[*a_run().happened, self.DAMAGED])
        holds(endings.check, replace(run, appends=[*run.appends, *sent]))
        breaks(endings.check, run, "the log knows no such workflow")

    def test_client_that_was_told_of_it_is_not_judged_behind_it(self) -> None:
        holds(clients.check, replace(self.run(), clients=watched(entries(WHOLE))))

    def test_damage_that_nobody_notices_is_found(self) -> None:
        holds(copies.check, self.run())
        breaks(copies.check, self.run(noticed=False), "no projector said so")
