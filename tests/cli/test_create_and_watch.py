"""`create` and `watch` as people and scripts meet them: what is shown, and which exit code it ends with."""

import json
import signal
import subprocess

import pytest

from tests.cli.command import Command, seen
from tests.cli.gateway import DROP, STAY, Gateway, Visit, error, problem
from tests.cli.given import ID, MARKDOWN, POST, SHA256, History, delta, workflow

EVENTS = History().whole().events
TRAP = "Tea \x1b[31m\x9b5m[bold]now[/bold]\r\x07"


class TestWhatIsAsked:
    def test_the_wishes_are_sent(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(EVENTS)]
        wishes = "--research --platform linkedin --platform x --tone playful --length short --request-id mine"
        assert command.run("create", "The history of tea", *wishes.split()).code == 0
        assert gateway.first_frames == [
            {
                "type": "start",
                "topic": "The history of tea",
                "research": True,
                "platforms": ["linkedin", "x"],
                "brief": {"tone": "playful", "length": "short"},
                "client_request_id": "mine",
            }
        ]

    def test_each_request_has_an_id_of_its_own(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(EVENTS), Visit(EVENTS)]
        for _ in range(2):
            assert command.run("create", "Tea").code == 0
        first, second = (frame["client_request_id"] for frame in gateway.first_frames)
        assert len(first) == 36
        assert first != second

    def test_a_lost_first_answer_never_makes_two_workflows(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(ends=DROP), Visit(EVENTS)]
        assert command.run("create", "Tea").code == 0
        first, second = gateway.first_frames
        assert first == second

    def test_watching_begins_at_the_beginning(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(EVENTS)]
        assert command.run("watch", ID).code == 0
        assert gateway.first_frames == [{"type": "attach", "workflow_id": ID, "after_revision": 0}]

    def test_results_are_read_when_the_tables_have_the_last_event(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(EVENTS)]
        command.run("watch", ID)
        assert gateway.asked[-1].query == {"min_position": str(EVENTS[-1]["position"])}


class TestWithoutATerminal:
    def test_each_event_is_a_line_and_the_results_follow(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit([*EVENTS[:4], delta("Tea came"), *EVENTS[4:]])]
        ended = command.run("create", "The history of tea")
        lines = ended.out.splitlines()
        assert [line[10:] for line in lines[1 : len(EVENTS)]] == [event["payload"] for event in EVENTS[1:]]
        assert lines[0] == f"10:00:01  The workflow was requested (workflow {ID})"
        assert lines[len(EVENTS)] == ""
        results = "\n".join(lines[len(EVENTS) + 1 :])
        assert results.startswith(MARKDOWN.rstrip())
        assert f"## LinkedIn post ({len(POST)} characters)\n\n{POST}" in results
        assert "1. Tea roads https://tea.example/roads" in results
        assert f"\n{gateway.address}/images/{SHA256}\n" in results
        assert "\ncost: $0.0123\n" in results
        assert f"\nagain: ./run show {ID}\n" in results
        assert (ended.code, ended.err) == (0, "")

    def test_colours_that_are_forced_stay_away(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(EVENTS)]
        ended = command.run("watch", ID, environment={"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"})
        assert "\x1b" not in ended.out + ended.err

    def test_as_json_the_whole_workflow_is_all_of_standard_output(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(EVENTS)]
        ended = command.run("create", "Tea", "--json")
        assert json.loads(ended.out) == workflow()
        assert len(ended.err.splitlines()) == len(EVENTS)

    def test_a_lost_connection_is_told_and_repeats_no_event(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(EVENTS[:4], ends=DROP), Visit(EVENTS[4:])]
        ended = command.run("watch", ID)
        lines = [line[10:] for line in ended.out.splitlines()[1 : len(EVENTS)]]
        assert lines == [event["payload"] for event in EVENTS[1:]]
        assert ended.err == "Connection lost (the connection broke); attaching again …\nAttached again.\n"


class TestEnds:
    def test_a_failed_workflow_ends_with_1_and_says_why(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(History().requested().claimed("blog").gave_up("blog").events)]
        ended = command.run("watch", ID)
        assert ended.code == 1
        assert "The workflow failed. Blog post: The quota is used up.\ncost: $0.0123\n" in ended.out
        assert f"\n  ./run resume {ID} --watch   makes what is missing, and shows it\n" in ended.out

    def test_a_cancelled_workflow_ends_with_1(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(History().requested().cancelled("a typing error").events)]
        ended = command.run("watch", ID)
        assert ended.code == 1
        assert "The workflow was cancelled: a typing error.\n" in ended.out

    def test_a_run_that_was_followed_by_another_is_not_the_end(self, gateway: Gateway, command: Command) -> None:
        history = History().requested().gave_up("blog").resumed().claimed("blog").written().completed(run=2)
        gateway.visits = [Visit(history.events)]
        gateway.events = history.events
        assert command.run("watch", ID).code == 0

    def test_an_end_that_nobody_can_confirm_is_the_end_when_the_server_is_done(
        self, gateway: Gateway, command: Command
    ) -> None:
        gateway.answers = {f"/workflows/{ID}/events": problem(503, "The log does not answer.")}
        gateway.visits = [Visit(EVENTS, ends=1000)]
        assert command.run("watch", ID).code == 0

    @pytest.mark.parametrize(("verb", "code"), [("create", 4400), ("watch", 4404), ("create", 4409), ("watch", 4429)])
    def test_a_refusal_is_a_sentence_and_1(self, gateway: Gateway, command: Command, verb: str, code: int) -> None:
        gateway.visits = [Visit([error("That is not to be")], ends=code)]
        assert command.run(verb, ID) == (1, "", "That is not to be.\n")

    def test_a_server_that_asks_to_come_again_is_asked_again(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(EVENTS[:2], ends=1013, reason="slow client"), Visit(EVENTS[2:])]
        ended = command.run("watch", ID)
        assert (ended.code, ended.err.splitlines()[0]) == (0, "Connection lost (slow client); attaching again …")

    def test_results_that_cannot_be_read_yet_are_promised_for_later(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(EVENTS)]
        gateway.answers = {f"/workflows/{ID}": problem(503, "The read tables do not answer at the moment.")}
        ended = command.run("watch", ID)
        assert ended.code == 1
        assert ended.err == (
            "The workflow is complete. What it made cannot be shown at the moment: The read tables do not answer at "
            f"the moment. `./run show {ID}` shows it later.\n"
        )

    def test_ctrl_c_leaves_the_work_alone_and_says_so(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(EVENTS[:2], ends=STAY)]
        process = command.start("watch", ID)
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == (
            f"\nThe workflow goes on without you.\n  ./run watch {ID}    shows it again\n"
            f"  ./run cancel {ID}   stops it\n"
        )
        close(process)
        assert gateway.left.wait(60)
        assert not any(one.method == "POST" for one in gateway.asked)

    def test_ctrl_c_before_the_first_answer_says_that_it_is_not_known(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(ends=STAY)]
        ended = command.in_terminal("create", "Tea", "--request-id", "mine", interrupt_at="Waiting for the first word")
        assert ended.code == 130
        assert "Whether the request was taken in is not known yet." in " ".join(seen(ended.out).split())
        assert "--request-id mine" in " ".join(seen(ended.out).split())

    def test_an_end_from_outside_ends_the_watching_alone(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(EVENTS[:2], ends=STAY)]
        process = command.start("watch", ID)
        assert process.stdout
        process.stdout.readline()
        process.terminate()
        assert process.wait(60) == 143
        close(process)

    def test_nobody_there_is_a_sentence_and_1(self, command: Command) -> None:
        ended = command.run("create", "Tea", "--url", "http://127.0.0.1:1")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith("Nothing answers at http://127.0.0.1:1. Start Pressroom with `./run`")

    def test_whoever_stops_reading_is_not_bothered(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(EVENTS)]
        process = command.start("watch", ID)
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr.read() == ""
        process.stderr.close()


class TestInATerminal:
    def test_steps_and_results_are_shown(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(EVENTS)]
        ended = command.in_terminal("watch", ID)
        shown = seen(ended.out)
        assert ended.code == 0
        for words in ("✓ Blog post", "How Tea Travelled", "LinkedIn post", POST, "Tea roads", "cost: $0.0123"):
            assert words in shown

    def test_the_address_of_the_picture_is_in_one_piece(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(EVENTS)]
        assert f"{gateway.address}/images/{SHA256}" in seen(command.in_terminal("watch", ID).out)

    def test_the_text_that_is_written_is_shown(self, gateway: Gateway, command: Command) -> None:
        history = History().requested().claimed("blog")
        gateway.visits = [Visit([*history.events, delta("Tea came to Europe")], ends=STAY)]
        ended = command.in_terminal("watch", ID, interrupt_at="Tea came to Europe")
        assert ended.code == 130
        assert f"./run cancel {ID}" in " ".join(seen(ended.out).split())

    def test_a_failed_attempt_stays_to_be_read(self, gateway: Gateway, command: Command) -> None:
        history = History().requested().claimed("blog").failed_attempt("blog").claimed("blog", 2).written().completed()
        gateway.visits = [Visit(history.events)]
        shown = " ".join(seen(command.in_terminal("watch", ID).out).split())
        failed = "Blog post, attempt 1 of 5 failed (rate-limited): The model is busy. It is tried again at"
        assert failed in shown

    @pytest.mark.parametrize("is_terminal", [True, False])
    def test_a_lost_attempt_is_told(self, gateway: Gateway, command: Command, is_terminal: bool) -> None:
        gateway.visits = [Visit(History().requested().claimed("blog").claimed("blog", 2).written().completed().events)]
        told = command.in_terminal("watch", ID) if is_terminal else command.run("watch", ID)
        assert "Blog post, attempt 1 of 5 was lost" in " ".join(seen(told.out).split())

    def test_words_of_others_command_nothing(self, gateway: Gateway, command: Command) -> None:
        history = History().requested(topic=TRAP).claimed("blog").failed_attempt("blog", why=TRAP)
        history.claimed("blog", 2).written(title=TRAP).claimed("illustration").gave_up("illustration", why=TRAP)
        gateway.visits = [Visit([*history.events[:4], delta(TRAP, attempt=2), *history.events[4:]])]
        gateway.workflow = workflow(
            topic=TRAP, blog_posts=[{"edition": 1, "title": TRAP, "markdown": f"{TRAP} &#27;[31m", "cited": []}]
        )
        for arguments in (("watch", ID), ("show", ID)):
            out = command.in_terminal(*arguments).out
            assert "\x1b[31m\x9b" not in out
            assert "\x9b" not in out
            assert "\x07" not in out
            assert "[bold]now[/bold]" in seen(out)

    def test_a_terminal_that_cannot_be_drawn_on_gets_lines(self, gateway: Gateway, command: Command) -> None:
        gateway.visits = [Visit(EVENTS)]
        ended = command.in_terminal("watch", ID, kind="dumb")
        assert ended.out.startswith("10:00:01  The workflow was requested")
        assert "\x1b" not in ended.out


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["create"], "the following arguments are required: TOPIC"),
            (["create", "Tea", "--platform", "myspace"], "invalid choice: 'myspace'"),
            (["create", "Tea", "--platform", "x", "--platform", "x"], "x is given twice"),
            (["watch", "no id"], "'no id' is no id of a workflow"),
            (["create", "Tea", "--url", "ftp://x"], "'ftp://x' is no address of a server"),
            (["create", "Tea", "--url", "http://x", "--data", "y"], "not allowed with argument"),
        ],
    )
    def test_words_that_make_no_sense_end_with_2(self, command: Command, arguments: list[str], words: str) -> None:
        ended = command.run(*arguments)
        assert ended.code == 2
        assert words in ended.err


def close(process: "subprocess.Popen[str]") -> None:
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()
