"""`parked` and `redrive`: what cannot go on is told with its reason, and what can be redriven is asked to go on."""

import json
from datetime import UTC, datetime
from itertools import groupby

import pytest
from rich.console import Console
from starlette.responses import JSONResponse

from cli.parked import HELD, lines_of
from tests.cli.command import Command, seen
from tests.cli.gateway import Gateway, problem
from tests.cli.given import ID, Json

NOW = datetime(2026, 11, 22, 10, 5, 1, tzinfo=UTC)
CURSOR = "AQAAAAAAAAAp"
FOLDED = JSONResponse({"outcome": "folded"})
STILL_HELD = JSONResponse({"outcome": "held", "why": "it is not JSON"})


def failed(id: str = ID, **changes: object) -> Json:
    """A parked workflow, as the server tells of it."""
    reason = {"code": "quota-used-up", "message": "The quota is used up"}
    told: Json = {"workflow_id": id, "kind": "failed", "topic": "The history of tea", "reason": reason, "work": "blog"}
    return told | {"since": "2026-11-22T10:00:01Z", "run": 1, "events": None, "position": 37} | changes


def held(id: str = ID) -> Json:
    reason = {"code": "history-unreadable", "message": "position 57: it is not JSON"}
    return failed(id, kind="held", topic=None, reason=reason, work=None, run=None, events=3)


def page(*items: Json, next: str | None = None) -> Json:
    return {"items": list(items), "next": next, "position": 57}


class TestParked:
    def test_the_wishes_are_asked_for(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = page()
        assert command.run("parked", "--kind", "held", "--limit", "5", "--cursor", CURSOR).code == 0
        assert gateway.paths() == ["GET /parked"]
        assert gateway.asked[0].query == {"kind": "held", "limit": "5", "cursor": CURSOR}

    def test_for_other_programs_each_is_a_line_with_tabs(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = page(failed(topic="Tea\tand\nscones"), held())
        assert [line.split("\t") for line in command.run("parked").out.splitlines()] == [
            [ID, "failed", "2026-11-22T10:00:01Z", "Blog post: The quota is used up.", "Tea and scones"],
            [ID, "held", "2026-11-22T10:00:01Z", "position 57: it is not JSON.", ""],
        ]

    def test_the_next_page_is_told_with_the_same_wishes(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = page(failed(), next=CURSOR)
        ended = command.run("parked", "--kind", "failed")
        assert ended.err == f"There are more: `./run parked --kind failed --cursor {CURSOR}`\n"

    def test_as_json_it_is_the_servers_answer(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = page(failed(), held())
        assert json.loads(command.run("parked", "--json").out) == gateway.workflow

    def test_nothing_parked_is_told(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = page()
        assert seen(command.in_terminal("parked").out).strip() == "Nothing is parked."
        assert seen(command.in_terminal("parked", "--kind", "held").out).strip() == "Nothing that fits is parked."

    def test_a_terminal_shows_what_to_do(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = page(failed(), held())
        out = seen(command.in_terminal("parked").out).replace("\r\n", "\n")
        assert "Once the cause is mended, `./run redrive ID`, or `--all`, has what failed go on.\n" in out
        assert f"{HELD}\n" in out

    @pytest.mark.parametrize("columns", [40, 80, 120])
    def test_every_id_topic_and_reason_can_be_read_at_any_width(self, columns: int) -> None:
        console = Console(width=columns, markup=False)
        with console.capture() as shown:
            for line in lines_of([failed(), held()], NOW):
                console.print(line)
        words = " ".join(shown.get().split())
        assert words.count(ID) == 2
        assert "failed 5 min ago The history of tea Blog post: The quota is used up." in words
        assert "held 5 min ago position 57: it is not JSON." in words

    def test_a_reason_can_move_no_cursor(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = page(failed(reason={"code": "a-code", "message": "\x1b[2J[red]"}))
        out = command.in_terminal("parked").out
        assert "\x1b[2J" not in out and "[red]" in seen(out)


class TestRedrive:
    def test_each_one_that_is_named_is_resumed(self, gateway: Gateway, command: Command) -> None:
        ended = command.run("redrive", "w1", "w2", "--reason", "topped up")
        assert ended.code == 0
        assert gateway.paths() == ["POST /workflows/w1/resume", "POST /workflows/w2/resume"]
        assert [one.body for one in gateway.asked] == [{"reason": "topped up"}] * 2
        assert ended.out.splitlines() == [
            "w1 goes on (1 of 2)",
            "w2 goes on (2 of 2)",
            "2 workflows go on, of 2. `./run list --status open` shows them.",
        ]

    def test_one_that_is_named_twice_is_resumed_once(self, gateway: Gateway, command: Command) -> None:
        assert command.run("redrive", "w1", "w1").code == 0
        assert gateway.paths() == ["POST /workflows/w1/resume"]

    def test_all_pages_are_read_before_the_first_is_resumed(self, gateway: Gateway, command: Command) -> None:
        first, second = page(failed("w1"), next=CURSOR), page(failed("w2"))
        gateway.pages = {"/parked": [first, second]}
        assert command.run("redrive", "--all").code == 0
        assert [(path, len(list(same))) for path, same in groupby(one.path for one in gateway.asked)] == [
            ("/parked", 2),
            ("/workflows/w1/resume", 1),
            ("/workflows/w2/resume", 1),
        ]
        assert [one.query.get("cursor") for one in gateway.asked[:2]] == [None, CURSOR]

    def test_nothing_parked_is_all_redriven(self, gateway: Gateway, command: Command) -> None:
        gateway.workflow = page()
        assert command.run("redrive", "--all") == (0, "Nothing is parked.\n", "")

    def test_what_is_held_is_folded_again(self, gateway: Gateway, command: Command) -> None:
        gateway.answers = {"/parked": JSONResponse(page(held("w1"), failed("w2"))), "/workflows/w1/refold": FOLDED}
        ended = command.run("redrive", "--all")
        assert gateway.paths() == ["GET /parked", "POST /workflows/w2/resume", "POST /workflows/w1/refold"]
        assert ended == (0, "w2 goes on (1 of 1)\nw1 is held no more\n", "")

    def test_what_is_held_still_is_told_and_ends_with_1(self, gateway: Gateway, command: Command) -> None:
        gateway.answers = {"/parked": JSONResponse(page(held("w1"))), "/workflows/w1/refold": STILL_HELD}
        ended = command.run("redrive", "--all")
        assert ended == (1, "", f"w1 is held still: it is not JSON. {HELD}\n")

    def test_without_a_projector_what_is_held_is_told(self, gateway: Gateway, command: Command) -> None:
        refusal = problem(503, "No projector answers.", "no-projector")
        gateway.answers = {"/parked": JSONResponse(page(held("w1"))), "/workflows/w1/refold": refusal}
        assert command.run("redrive", "--all") == (1, "", "w1 does not go on. No projector answers.\n")

    @pytest.mark.parametrize("code", ["history-unreadable", "already-closed"])
    def test_one_that_is_named_and_held_is_folded_again(self, gateway: Gateway, command: Command, code: str) -> None:
        refusal = problem(502, "An event cannot be read here", code)
        gateway.answers = {"/workflows/w1/resume": refusal, "/workflows/w1/refold": FOLDED}
        assert command.run("redrive", "w1") == (0, "w1 is held no more\n", "")

    def test_one_that_is_refused_keeps_no_other_from_going_on(self, gateway: Gateway, command: Command) -> None:
        gateway.answers = {"/workflows/w1/resume": problem(409, "The workflow is complete already")}
        ended = command.run("redrive", "w1", "w2")
        assert (ended.code, ended.err) == (1, "w1 does not go on. The workflow is complete already.\n")
        assert "w2 goes on (2 of 2)\n1 workflow goes on, of 2." in ended.out

    def test_one_that_cannot_be_read_is_told_with_what_to_do(self, gateway: Gateway, command: Command) -> None:
        refusal = problem(502, "An event cannot be read here, at position 57", "history-unreadable")
        gateway.answers = {"/workflows/w1/resume": refusal, "/workflows/w1/refold": STILL_HELD}
        ended = command.run("redrive", "w1")
        assert (ended.code, ended.err) == (1, f"w1 is held still: it is not JSON. {HELD}\n")

    @pytest.mark.parametrize("status", [503, 507])
    def test_where_no_other_could_go_on_nothing_more_is_asked(
        self, gateway: Gateway, command: Command, status: int
    ) -> None:
        gateway.answers = {"/workflows/w2/resume": problem(status, "Nothing can be recorded.")}
        ended = command.run("redrive", "w1", "w2", "w3")
        assert ended == (1, "w1 goes on (1 of 3)\n", "Nothing can be recorded.\n")
        assert gateway.paths() == ["POST /workflows/w1/resume", "POST /workflows/w2/resume"]

    @pytest.mark.parametrize("words", [[], ["w1", "--all"], ["no.id"]], ids=["none", "both", "no id"])
    def test_words_that_name_nothing_are_misspoken(self, gateway: Gateway, command: Command, words: list[str]) -> None:
        assert command.run("redrive", *words).code == 2
        assert gateway.paths() == []
