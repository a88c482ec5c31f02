"""`list`, `show`, `cancel`, `resume` and `status`: what they ask, what they show, and their exit codes."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.address import Address
from cli.listing import lines_of
from cli.results import newest, workflow_in_words
from tests.cli.command import Command, seen
from tests.cli.gateway import Gateway, Visit, problem
from tests.cli.given import ID, MARKDOWN, History, Json, summary, workflow

NOW = datetime(2026, 11, 22, 10, 5, 1, tzinfo=UTC)
STATUS: Json = {
    "services": [
        {
            "service": "writer",
            "processes": [
                {
                    "worker": "writer-1",
                    "host": "press",
                    "started_at": "2026-11-22T10:00:00Z",
                    "heard_at": "2026-11-22T10:05:00Z",
                    "ready": True,
                    "parts": {"log": "ok"},
                    "slots": 8,
                    "busy": 3,
                }
            ],
        }
    ],
    "stages": [{"stage": "writer", "waiting": 1200, "in_hand": 3, "redelivered": 0, "free_slots": 5}],
    "log": {"events": 12345, "bytes": 5_600_000, "last_position": 12400, "bytes_max": 1_000_000_000},
    "projection": {"position": 12395, "lag": 5, "held": 0, "moved_at": "2026-11-22T10:00:00Z", "generation": 2},
    "trouble": [],
}


def page(*items: Json, next: str | None = None) -> Json:
    return {"items": list(items), "next": next, "position": 57}


def writers(*processes: Json) -> Json:
    """The services, where there are only these writers."""
    return {"services": [{"service": "writer", "processes": list(processes)}]}


class TestList:
    def test_the_filters_are_asked_for(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = page()
        wishes = ["--status", "failed", "--query", "tea", "--limit", "5", "--cursor", "AQAAAAAAAAAp"]
        assert command.run("list", *wishes).code == 0
        assert gateway.asked[0].query == {"status": "failed", "q": "tea", "limit": "5", "cursor": "AQAAAAAAAAAp"}

    def test_for_other_programs_each_is_a_line_with_tabs(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = page(summary(topic="Tea\tand\nscones"), summary(status="open"))
        ended = command.run("list")
        assert [line.split("\t") for line in ended.out.splitlines()] == [
            [ID, "completed", "2026-11-22T10:00:01Z", "", "Tea and scones"],
            [ID, "open", "2026-11-22T10:00:01Z", "", "The history of tea"],
        ]

    def test_the_next_page_is_told_with_the_same_filters(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = page(summary(), next="AQAAAAAAAAAp")
        ended = command.run("list", "--query", "the tea")
        assert ended.err == "There are more: `./run list --query 'the tea' --cursor AQAAAAAAAAAp`\n"

    def test_as_json_it_is_the_servers_answer(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = page(summary(topic="Té \x9b\x1b[31m"))
        out = command.run("list", "--json").out
        assert json.loads(out) == gateway.workflow
        assert "Té" in out
        assert not {"\x9b", "\x1b"} & set(out)

    def test_none_at_all_is_told_with_what_to_do(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = page()
        ended = command.in_terminal("list")
        assert "There are no workflows yet." in seen(ended.out)

    @pytest.mark.parametrize("columns", [80, 120, 40])
    def test_every_topic_and_id_can_be_read_at_any_width(self, columns: int) -> None:
        items = [summary(), summary(cost_usd=0.5, cost_known=False)]
        shown = "\n".join(line.plain for line in lines_of(items, columns, NOW))
        assert shown.count("The history of tea") == shown.count(ID) == 2
        assert "≥ $0.5000" in shown
        assert "5 min ago" in shown

    def test_a_wide_terminal_has_the_topic_in_the_same_line(self) -> None:
        assert len(list(lines_of([summary()], 120, NOW))) == 2
        assert len(list(lines_of([summary()], 80, NOW))) == 3

    def test_whoever_stops_reading_is_not_bothered(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = page(*[summary()] * 2000)
        process = command.start("list")
        assert process.stdout and process.stderr
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (141, "")
        process.stderr.close()


class TestShow:
    def test_all_of_it_is_shown(self, command: Command) -> None:
        ended = command.run("show", ID)
        assert ended.code == 0
        assert ended.out.startswith("The history of tea\ncompleted, requested 2026-11-22 10:00:01, closed after 9 s\n")
        assert "Blog post: made\n" in ended.out
        assert MARKDOWN.rstrip() in ended.out

    def test_the_markdown_alone_goes_through_a_pipe(self, command: Command) -> None:
        assert command.run("show", ID, "--markdown") == (0, MARKDOWN, "")

    def test_no_post_yet_is_a_sentence_and_1(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = workflow(status="open", blog_posts=[])
        ended = command.run("show", ID, "--markdown")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith("This workflow has no blog post: it is open.")

    def test_as_json_it_is_the_servers_answer(self, command: Command) -> None:
        assert json.loads(command.run("show", ID, "--json").out) == workflow()

    def test_each_work_is_told_with_its_cost(self) -> None:
        blog = {"work": "blog", "status": "made", "attempts": None, "usage": {"cost_usd": 0.01, "cost_known": True}}
        assert "Blog post: made, cost $0.0100\n" in workflow_in_words(workflow(works=[blog]), Address("http://press"))

    def test_why_it_failed_is_told(self) -> None:
        error = {"code": "quota", "message": "The quota is used up", "retryable": False, "work": "blog"}
        told = workflow_in_words(workflow(status="failed", error=error), Address("http://press"))
        assert "Why: Blog post: The quota is used up.\n" in told

    def test_a_retry_is_told_with_its_reason(self) -> None:
        failed = {"outcome": "failed", "error": {"message": "The model is busy"}, "retry_at": "2026-11-22T10:30:00Z"}
        told = workflow_in_words(
            workflow(works=[{"work": "social:x", "status": "retrying", "attempts": [{}, failed]}]), Address("http://p")
        )
        assert "X post: retrying, 2 attempts: The model is busy. It is tried again at" in told

    def test_of_several_editions_the_latest_is_shown(self) -> None:
        posts = [{"platform": name, "edition": edition} for name in ("x", "linkedin") for edition in (1, 2)]
        assert newest(posts) == [{"platform": "x", "edition": 2}, {"platform": "linkedin", "edition": 2}]

    def test_an_unknown_workflow_is_a_sentence_and_1(self, gateway: Gateway, command: Command) -> None:
        gateway.answers = {f"/workflows/{ID}": problem(404, "There is no such workflow.")}
        assert command.run("show", ID) == (1, "", "There is no such workflow.\n")


class TestDecisions:
    def test_a_cancel_is_asked_for_with_its_reason(self, gateway: Gateway, command: Command) -> None:
        ended = command.run("cancel", ID, "--reason", "a typing error")
        assert (ended.code, gateway.asked[0].body) == (0, {"reason": "a typing error"})
        assert gateway.paths() == [f"POST /workflows/{ID}/cancel"]
        assert ended.out.startswith("The workflow is cancelled; what was made is kept.")

    def test_a_resume_is_asked_for(self, gateway: Gateway, command: Command) -> None:
        ended = command.run("resume", ID)
        assert (ended.code, gateway.paths(), gateway.asked[0].body) == (0, [f"POST /workflows/{ID}/resume"], {})

    def test_a_resume_can_be_watched(self, gateway: Gateway, command: Command) -> None:
        history = History().requested().gave_up("blog").resumed().claimed("blog").written().completed(run=2)
        gateway.visits, gateway.events = [Visit(history.events)], history.events
        ended = command.run("resume", ID, "--watch")
        assert ended.code == 0
        assert MARKDOWN.rstrip() in ended.out

    def test_what_cannot_be_decided_is_a_sentence_and_1(self, gateway: Gateway, command: Command) -> None:
        gateway.answers = {f"/workflows/{ID}/cancel": problem(409, "The workflow is complete already.")}
        assert command.run("cancel", ID) == (1, "", "The workflow is complete already.\n")


class TestStatus:
    def test_all_is_well(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = STATUS
        ended = command.run("status")
        assert ended.code == 0
        assert f"Pressroom at {gateway.address}: all is well.\n" in ended.out
        assert "Log: 12,345 events, 5.6 MB of 1.0 GB, last position 12,400.\n" in ended.out
        assert "Read tables: position 12,395, 5 events behind, moved" in ended.out
        assert "1,200" in ended.out

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"trouble": ["Postgres does not answer"]}, "- Postgres does not answer."),
            (writers(), "- writer: no process of it was heard."),
            (writers({"worker": "w-1", "ready": False, "parts": {}}), "- w-1 is not ready."),
            (writers({"worker": "w-1", "ready": False, "parts": {"log": "is away"}}), "- w-1, log: is away."),
        ],
    )
    def test_trouble_is_told_and_ends_with_1(
        self, gateway: Gateway, command: Command, changes: Json, told: str
    ) -> None:
        gateway.workflow = STATUS | changes
        ended = command.run("status")
        assert (ended.code, told in ended.out.splitlines()) == (1, True)

    @pytest.mark.parametrize(
        ("last", "told"),
        [(12_395, "up to date"), (12_396, "1 event behind"), (12_390, "5 events more than the log has")],
    )
    def test_read_tables_are_told_beside_the_log(
        self, gateway: Gateway, command: Command, last: int, told: str
    ) -> None:
        gateway.workflow = STATUS | {"log": STATUS["log"] | {"last_position": last}}
        assert f"Read tables: position 12,395, {told}, moved" in command.run("status").out

    def test_each_copy_of_the_log_is_told(self, gateway: Gateway, command: Command) -> None:
        in_order: Json = {"is_leader": False, "is_current": True, "is_there": True, "lag": 0}
        copies = [
            {"server": "p-1", **in_order, "is_leader": True},
            {"server": "p-2", **in_order},
            {"server": "p-3", **in_order, "is_current": False, "lag": 7},
            {"server": "p-4", **in_order, "is_current": False, "is_there": False},
        ]
        gateway.workflow = STATUS | {"log": STATUS["log"] | {"replicas": copies}}
        told = " ".join(command.run("status").out.split())
        assert "Copies: p-1 leads, p-2 is current, p-3 lacks 7 changes, p-4 is away." in told

    def test_parts_that_cannot_be_told_are_left_out(self, gateway: Gateway, command: Command) -> None:
        nothing: dict[str, Any] = dict.fromkeys(STATUS)
        gateway.workflow = nothing | {"trouble": ["The log does not answer."]}
        ended = command.run("status")
        assert (ended.code, ended.err) == (1, "")

    def test_as_json_it_is_the_servers_answer(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = STATUS
        assert json.loads(command.run("status", "--json").out) == STATUS

    def test_a_terminal_of_80_columns_is_enough(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = STATUS
        lines = seen(command.in_terminal("status").out).splitlines()
        assert max(map(len, lines)) <= 80
        assert any(line.split()[:3] == ["writer", "writer-1", "ready"] for line in lines)

    def test_a_gateway_that_tells_no_status_is_named(self, gateway: Gateway, command: Command) -> None:
        gateway.answers = {"/status": problem(404, "Not Found")}
        ended = command.run("status")
        assert ended.code == 1
        assert ended.err == f"The gateway at {gateway.address} is of a version that tells no status.\n"
