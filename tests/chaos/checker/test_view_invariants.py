"""Invariants 4, 6, 7, 8, 11, 12 and 13: requests, tables, pictures, and what clients and strangers see."""

from typing import Any

import pytest

from chaos.checker.invariants import canaries, clients, counts, objects, requests, resources, tables
from chaos.checker.record import Record, Text
from chaos.checker.shapes import Checkpoint, Held, Said, Seen
from chassis.jetstream_log import Entry
from contracts.events import WorkflowRequested
from tests.chaos.checker.given import (
    EPOCH,
    WHOLE,
    a_run,
    a_run_of,
    asked,
    at,
    breaks,
    changed,
    entries,
    happening,
    held,
    holds,
    on_hand,
    said,
    watched,
)
from tests.contracts.given import requested

TEA, COFFEE = {"topic": "The history of tea"}, {"topic": "Coffee"}


def of_request_id(name: str = "my-1", *, workflow: str = "0195-tea", behind: int = 0) -> list[Entry]:
    """A workflow that was asked for under this id."""
    first = requested().model_copy(update={"client_request_id": name})
    return entries([first, *WHOLE[1:]], workflow=workflow, behind=behind)


def request(number: int, body: Any = TEA, *, workflow: str | None = "0195-tea", status: int | None = 202) -> list[Said]:
    """One request under the id my-1 and its answer; without a status nobody knows its end."""
    phase = "unknown" if status is None else "ok" if status == 202 else "failed"
    return [
        said("request", "invoked", id=number, body=body, client_request_id="my-1"),
        said("request", phase, id=number, workflow_id=workflow, status=status, client_request_id="my-1"),
    ]


def another(status: int) -> list[Said]:
    """Another request under the same id, once the first one stands in the log; and what it was told."""
    return [one.model_copy(update={"at": at(2)}) for one in request(2, COFFEE, workflow=None, status=status)]


class TestRequests:
    def test_five_at_once_are_one_workflow(self) -> None:
        told = [line for number in range(5) for line in request(number)]
        found = holds(requests.check, a_run_of(of_request_id(), clients=told))
        assert found.looked_at == {"requests": 5, "request ids": 1, "workflows": 1, "conflicts": 0}

    def test_request_whose_end_is_unknown_may_have_its_workflow_or_not(self) -> None:
        holds(requests.check, a_run_of(of_request_id(), clients=request(1, workflow=None, status=None)))
        holds(requests.check, a_run(clients=request(1, workflow=None, status=None)))

    def test_other_body_is_a_conflict(self) -> None:
        told = [*request(1), *request(2, COFFEE, workflow=None, status=409)]
        holds(requests.check, a_run_of(of_request_id(), clients=told))

    @pytest.mark.parametrize("status", [500, 400, 404, 503])
    def test_other_body_that_is_refused_as_anything_else_is_found(self, status: int) -> None:
        told = [*request(1), *another(status)]
        what = f"answered with {status}, and not as a conflict"
        breaks(requests.check, a_run_of(of_request_id(), clients=told), what)

    def test_other_body_may_be_told_to_try_again_while_something_is_away(self) -> None:
        away = [happening("nats-killed", at(1), step=1, phase="fired"), *a_run().happened]
        told = [*request(1), *another(503)]
        holds(requests.check, a_run_of(of_request_id(), clients=told, happened=away))
        breaks(
            requests.check, a_run_of(of_request_id(), clients=[*request(1), *another(500)], happened=away), "with 500"
        )
        repeated = [happening("repeats", at(1), step=1, phase="fired"), *a_run().happened]
        breaks(requests.check, a_run_of(of_request_id(), clients=told, happened=repeated), "with 503")

    def test_other_body_beside_the_first_one_may_come_too_early_for_a_conflict(self) -> None:
        told = [*request(1), *request(2, COFFEE, workflow=None, status=500)]
        holds(requests.check, a_run_of(of_request_id(), clients=told))

    def test_two_workflows_of_one_id_are_found(self) -> None:
        log = [*of_request_id(), *of_request_id(workflow="0196-tea", behind=8)]
        found = breaks(requests.check, a_run_of(log, clients=request(1)), "2 workflows in the log")
        assert "0196-tea" not in "\n".join(found.words()) and "position 9" in "\n".join(found.words())

    def test_two_answers_to_one_id_are_found(self) -> None:
        told = [*request(1), *request(2, workflow="0196-tea")]
        breaks(requests.check, a_run_of(of_request_id(), clients=told), "answered with 2 workflows")

    def test_other_body_that_is_accepted_is_found(self) -> None:
        told = [*request(1), *request(2, COFFEE)]
        breaks(
            requests.check, a_run_of(of_request_id(), clients=told), "another request under the same id was accepted"
        )

    def test_same_body_that_is_refused_is_found(self) -> None:
        told = [*request(1), *request(2, workflow=None, status=409)]
        breaks(requests.check, a_run_of(of_request_id(), clients=told), "refused as a conflict")

    def test_workflow_of_a_request_that_failed_for_certain_is_found(self) -> None:
        told = request(1, workflow=None, status=503)
        breaks(requests.check, a_run_of(of_request_id(), clients=told), "failed for certain")

    def test_one_workflow_for_two_requests_is_found(self) -> None:
        told = [*asked(entries(WHOLE)), said("request", "ok", client="client-2", id=9, workflow_id="0195-tea")]
        breaks(requests.check, a_run(clients=told), "one workflow answers several requests")


def with_row(table: str, **different: Any) -> dict[str, Any]:
    rows = {name: [*found] for name, found in a_run().tables.items()}
    rows[table][0] = {**rows[table][0], **different}
    return rows


class TestTables:
    def test_tables_that_the_slow_fold_tells_hold(self) -> None:
        assert holds(tables.check, a_run()).looked_at == {"rows": 4, "workflows": 1, "checkpoints": 9}

    def test_json_may_be_text(self) -> None:
        text = '{"tone": null, "audience": null, "language": null, "length": null}'
        holds(tables.check, a_run(tables=with_row("workflows", brief=text)))

    @pytest.mark.parametrize(
        ("table", "different", "what"),
        [
            ("workflows", {"status": "open"}, "status is 'open', the log says 'completed'"),
            ("blog_posts", {"title": "Coffee"}, "title is 'Coffee'"),
            ("images", {"position": 3}, "position is 3"),
            ("workflows", {"workflow_id": "0196-tea"}, "the row is missing"),
            ("workflows", {"workflow_id": "0196-tea"}, "of which the log knows nothing"),
        ],
    )
    def test_row_that_differs_is_found(self, table: str, different: dict[str, Any], what: str) -> None:
        breaks(tables.check, a_run(tables=with_row(table, **different)), what)

    def test_row_that_is_missing_is_found(self) -> None:
        breaks(tables.check, a_run(tables={**a_run().tables, "images": []}), "the row is missing")

    def test_checkpoint_short_of_the_end_is_found(self) -> None:
        short = Checkpoint(generation=1, epoch=EPOCH, position=7, applied=7, held=0)
        breaks(tables.check, a_run(checkpoint=short), "the checkpoint is at 7, the log ends at 8")

    def test_checkpoint_that_falls_is_found(self) -> None:
        seen = [Seen(at=at(n), generation=1, epoch=EPOCH, position=position) for n, position in enumerate([3, 5, 4])]
        breaks(tables.check, a_run(checkpoints=seen), "fell from 5 to 4")

    def test_held_workflow_shows_what_came_before(self) -> None:
        log = entries(WHOLE)
        log = [*log[:6], changed(log[6], body=b"not JSON"), log[7]]
        parked = Held(owner="local", workflow_id="0195-tea", position=7, subject=log[6].subject, error="?", events=2)
        holds(tables.check, a_run_of(log, quarantine=[parked]))
        breaks(tables.check, a_run_of(log), "it is not held, but position 7 cannot be applied")

    def test_workflow_that_is_held_without_a_reason_is_found(self) -> None:
        log = entries(WHOLE)
        parked = Held(owner="local", workflow_id="0195-tea", position=7, subject=log[6].subject, error="?", events=2)
        breaks(tables.check, a_run_of(log, quarantine=[parked]), "each of its events can be applied")


class TestCounts:
    def test_books_that_add_up_hold(self) -> None:
        assert holds(counts.check, a_run()).looked_at == {"applied": 8, "held": 0, "events": 8, "generations": 1}

    def test_event_that_was_applied_twice_is_found(self) -> None:
        twice = Checkpoint(generation=1, epoch=EPOCH, position=8, applied=9, held=0)
        breaks(counts.check, a_run(checkpoint=twice), "9 applied and 0 held events are not the 8")

    def test_held_events_that_are_not_listed_are_found(self) -> None:
        held = Checkpoint(generation=1, epoch=EPOCH, position=8, applied=6, held=2)
        breaks(counts.check, a_run(checkpoint=held), "the quarantine lists 0")

    def test_unreadable_event_that_was_passed_over_is_found(self) -> None:
        log = entries(WHOLE)
        log = [*log[:7], changed(log[7], body=b"not JSON")]
        breaks(counts.check, a_run_of(log), "its workflow is not held")


class TestObjects:
    def test_picture_that_is_there_holds(self) -> None:
        assert holds(objects.check, a_run()).looked_at == {"pictures": 1, "objects": 1, "served": 0}

    def test_picture_that_is_not_there_is_found(self) -> None:
        breaks(objects.check, a_run(objects=[]), "there is no such object")

    @pytest.mark.parametrize(
        ("name", "value"),
        [("sha256", "00"), ("size", 1), ("content_type", "image/jpeg"), ("width", 1), ("height", 1)],
    )
    def test_picture_that_is_another_is_found(self, name: str, value: object) -> None:
        other = a_run().objects[0].model_copy(update={name: value})
        breaks(objects.check, a_run(objects=[other]), name.replace("_", " "))

    def test_picture_that_is_served_as_it_is_named_holds(self) -> None:
        name = "a" * 64
        read = said("read", "ok", path=f"/images/{name}", status=200, body_sha256=name)
        assert holds(objects.check, a_run(clients=[read])).looked_at["served"] == 1

    def test_picture_that_is_served_with_other_bytes_is_found(self) -> None:
        read = said("read", "ok", path=f"/images/{'a' * 64}", status=200, body_sha256="b" * 64)
        breaks(objects.check, a_run(clients=[read]), "was served with other bytes")


def seen(*revisions: int, after: int = 0, client: str = "client-1") -> list[Said]:
    """A client that is told these revisions and is still there in the end."""
    frames = {one.revision: one for one in watched(entries(WHOLE), client=client) if one.op == "frame"}
    attach = said("attach", client=client, workflow_id="0195-tea", after_revision=after)
    return [attach, *(frames[revision] for revision in revisions)]


CLOSED = said("closed", workflow_id="0195-tea", code=1006)
DAMAGED = happening("rollback", at(1), step=1, target="log", phase="fired")


class TestClients:
    def test_every_revision_once_holds(self) -> None:
        assert holds(clients.check, a_run()).looked_at == {"clients": 1, "attached": 1, "frames": 8}

    def test_client_that_comes_back_goes_on_where_it_was(self) -> None:
        told = [*seen(1, 2, 3), CLOSED, *seen(4, 5, 6, 7, 8, after=3)]
        holds(clients.check, a_run(clients=told))

    def test_client_that_was_cut_off_for_good_need_not_see_the_end(self) -> None:
        holds(clients.check, a_run(clients=[*seen(1, 2, 3), CLOSED]))

    def test_workflow_may_be_unknown_while_the_log_is_damaged(self) -> None:
        told = [*seen(), said("closed", workflow_id="0195-tea", code=4404), *seen(1, 2, 3, 4, 5, 6, 7, 8)]
        holds(clients.check, a_run(clients=told, happened=[*a_run().happened, DAMAGED]))

    @pytest.mark.parametrize(
        ("told", "what"),
        [
            (seen(1, 2, 4), "revision 4 is told behind revision 2"),
            (seen(1, 2, 2), "revision 2 is told behind revision 2"),
            (seen(2, 3, after=0), "revision 2 is told behind revision 0"),
            ([*seen(1, 2, 3), CLOSED, *seen(5, after=3)], "revision 5 is told behind revision 3"),
            (seen(1, 2, 3), "told 3 of 8 revisions"),
            ([*seen(1, 2), said("closed", workflow_id="0195-tea", code=1000)], "all is over behind revision 2"),
            ([*seen(), said("closed", workflow_id="0195-tea", code=4404)], "there is no such workflow"),
        ],
        ids=lambda told: told if isinstance(told, str) else "",
    )
    def test_gap_repeat_and_silence_are_found(self, told: list[Said], what: str) -> None:
        breaks(clients.check, a_run(clients=told), what)

    @pytest.mark.parametrize(
        ("different", "what"),
        [
            ({"event": "blog-written"}, "told as blog-written; the log has work-claimed"),
            ({"event_id": "another"}, "under the id another"),
            ({"data": {"work": "social:x", "run": 1, "attempt": 1, "worker": "writer-1"}}, "with another work"),
            ({"revision": 9}, "revision 9"),
        ],
        ids=lambda told: told if isinstance(told, str) else "",
    )
    def test_what_the_log_does_not_say_is_found(self, different: dict[str, Any], what: str) -> None:
        told = seen(1, 2)
        told[2] = told[2].model_copy(update=different)
        breaks(clients.check, a_run(clients=told), what)

    def test_older_release_need_not_tell_what_only_the_newer_one_knows(self) -> None:
        told, happened = seen(*range(1, 9)), [happening("new-release", at(2)), happening("end", at(60))]
        data = {name: value for name, value in (told[1].data or {}).items() if name != "research"}
        told[1] = told[1].model_copy(update={"data": data})
        breaks(clients.check, a_run(clients=told), "with another research")
        holds(clients.check, a_run(clients=told, happened=happened))
        told[1] = told[1].model_copy(update={"data": {**data, "topic": "Coffee"}})
        breaks(clients.check, a_run(clients=told, happened=happened), "with another topic")

    def test_clients_are_not_mixed_up(self) -> None:
        told = [
            line
            for pair in zip(seen(*range(1, 9)), seen(*range(1, 9), client="client-2"), strict=True)
            for line in pair
        ]
        holds(clients.check, a_run(clients=told))


class TestResources:
    def test_process_at_its_baseline_holds(self) -> None:
        assert holds(resources.check, a_run()).looked_at == {"processes": 1, "samples": 2}

    @pytest.mark.parametrize(
        ("different", "what"),
        [
            ({"rss_bytes": 400 * 1024**2}, "its memory grew by 320 MiB"),
            ({"files": 220}, "holds 200 files more"),
            ({"threads": 90}, "runs 85 threads more"),
            ({"load": on_hand(tasks=69)}, "runs 9 tasks more"),
            ({"load": on_hand(deliveries=1)}, "deliveries: 1 are left in it, 0 were before"),
        ],
    )
    def test_growth_is_found(self, different: dict[str, Any], what: str) -> None:
        breaks(resources.check, a_run(resources=[held("before"), held("after", **different)]), what)

    def test_a_few_tasks_may_come_and_go(self) -> None:
        holds(resources.check, a_run(resources=[held("before"), held("after", load=on_hand(tasks=68))]))

    def test_missing_baseline_is_found(self) -> None:
        breaks(resources.check, a_run(resources=[held("after")]), "no baseline")

    @pytest.mark.parametrize("when", ["before", "during", "after"])
    def test_queue_above_its_bound_is_found_at_any_sample(self, when: str) -> None:
        told = [held("before"), held("after"), held(when, load=on_hand(deliveries=17))]
        breaks(resources.check, a_run(resources=told), "deliveries: 17 are in it, and 16 may be")

    def test_full_queue_under_way_holds(self) -> None:
        during = held("during", load=on_hand(tasks=400, deliveries=16))
        holds(resources.check, a_run(resources=[held("before"), during, held("after")]))

    def test_silence_at_rest_is_found(self) -> None:
        breaks(resources.check, a_run(resources=[held("before"), held("after", load=None)]), "does not say what it has")

    def test_silence_under_way_holds(self) -> None:
        holds(resources.check, a_run(resources=[held("before"), held("during", load=None), held("after")]))

    def test_server_has_no_word_of_its_own(self) -> None:
        told = [held(when, process="nats", load=None) for when in ("before", "after")]
        assert resources.check(a_run(resources=told)).looked_at == {"processes": 1, "samples": 0}

    def test_process_that_was_started_anew_is_held_against_the_one_before_it(self) -> None:
        anew = held("after", pid=8, load=on_hand(tasks=90))
        found = breaks(resources.check, a_run(resources=[held("before"), anew]), "runs 30 tasks more")
        assert "pid 8 was started anew; it is held against writer-1" in "\n".join(found.words())

    def test_process_of_a_new_name_is_held_against_one_of_its_service(self) -> None:
        told = [held("before", process="research-1", load=on_hand(tasks=90)), held("before")]
        more = held("after", process="writer-2", pid=9, load=on_hand(tasks=90))
        breaks(resources.check, a_run(resources=[*told, more]), "writer-2: it runs 30 tasks more")


def with_prompt(**different: Any) -> Record:
    """A run in which one of two workflows was asked for with the canary prompt."""
    first = WorkflowRequested(topic="Tea canary-prompt-7", research=False, platforms=requested().platforms)
    log = [*entries([first, *WHOLE[1:]]), *entries(WHOLE, workflow="0196-tea", behind=8)]
    return a_run_of(log, **different)


class TestCanaries:
    def test_prompt_in_its_own_workflow_holds(self) -> None:
        holds(canaries.check, with_prompt())

    @pytest.mark.parametrize("canary", ["canary-key-7", "canary-prompt-7"])
    def test_canary_in_a_log_file_is_found(self, canary: str) -> None:
        found = breaks(
            canaries.check, with_prompt(texts=[Text("logs/writer-1.log", f"saw {canary}!")]), "logs/writer-1.log"
        )
        assert "canary-key-7" not in "\n".join(found.words()), "the report itself gives no key away"

    @pytest.mark.parametrize("canary", ["canary-key-7", "canary-prompt-7"])
    def test_canary_in_a_header_is_found(self, canary: str) -> None:
        log = entries(WHOLE)
        log[2] = changed(log[2], headers={**log[2].headers, "x-prompt": canary})
        breaks(canaries.check, a_run_of(log), "in an event's headers")

    def test_key_in_an_event_is_found(self) -> None:
        log = entries(WHOLE)
        log[2] = changed(log[2], body=log[2].body.replace(b"A leaf.", b"canary-key-7"))
        breaks(canaries.check, a_run_of(log), "the key stands in an event")

    def test_prompt_in_another_workflow_is_found(self) -> None:
        log = [*with_prompt().log]
        log[10] = changed(log[10], body=log[10].body.replace(b"A leaf.", b"canary-prompt-7"))
        breaks(canaries.check, a_run_of(log), "in an event of another workflow")

    @pytest.mark.parametrize("canary", ["canary-key-7", "canary-prompt-7"])
    def test_canary_in_anothers_frame_is_found(self, canary: str) -> None:
        frame = said("frame", workflow_id="0196-tea", revision=1, data={"topic": canary})
        breaks(canaries.check, with_prompt(clients=[frame]), "a client was told")
