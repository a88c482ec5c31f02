"""The one-machine start as a user and as a script see it: real servers, with tiny services that only answer."""

import json
import os
import signal
import socket
import sys
import urllib.request
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

from local import services as local_services
from local import up as local_up
from local.scale import SERVICES
from local.servers import temporary_folder
from local.services import Machine, Service, environment_of_user, needs_standin
from local.spawn import Account, noted_processes
from local.state import CannotStart, DataDirectory, free_port, is_free
from local.supervisor import REGISTER
from local.up import open_entrance
from tests.local.heard import Process, ordinary_python, python, survivors

ROOT = Path(__file__).resolve().parents[2]
KEY = "canary-of-the-user"

# Says hello, writes down what it was told, answers on its port, and drains nothing on SIGTERM.
SERVICE = """
import json, os, pathlib, signal, socket, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        is_held_up = os.environ.get("HELD_UP") == name and self.path == "/health/ready"
        self.send_response(503 if is_held_up else 200 if self.path.startswith("/health/") else 404)
        self.end_headers()

    def log_message(self, *_): ...

def leave(*_):
    print("leaving", flush=True)
    sys.exit(0)

name = os.environ["PRESSROOM_NATS_USER"]
if os.environ.get("BROKEN") == name:
    sys.exit("out of ink")
signal.signal(signal.SIGTERM, leave)
signal.signal(signal.SIGINT, leave)
pathlib.Path(os.environ["SEEN"], f"{name}-{os.getpid()}.json").write_text(json.dumps(dict(os.environ)))
print(f"hello from {name}", flush=True)
if sys.argv[1:2] == ["--entrance"]:
    server = HTTPServer(("127.0.0.1", 0), Answer, bind_and_activate=False)
    server.socket = socket.socket(fileno=int(sys.argv[2]))
else:
    server = HTTPServer(("127.0.0.1", int(os.environ["PRESSROOM_HEALTH_PORT"])), Answer)
server.serve_forever()
"""

# The set-up of the tables, the rebuild and the comparison: each writes down what it was told and ends as it shall.
TASK = """
import json, os, pathlib, sys

name = pathlib.Path(__file__).stem
pathlib.Path(os.environ["SEEN"], f"{name}.json").write_text(json.dumps(dict(os.environ)))
print(f"{name} with {sys.argv[1:]}", flush=True)
sys.exit(int(os.environ.get(f"{name}_ends_with", 0)))
"""
TASKS = ("setup", "rebuild", "verify")

BENCHMARK = """'''How long nothing takes.

In more words.
'''
import pathlib, sys

if __name__ == "__main__":
    print(sys.argv[1:], pathlib.Path.cwd(), flush=True)
    sys.exit(7)
"""


class Start:
    """A folder with tiny services and with data, and `./run …` on it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.seen = folder / "seen"
        self._code = folder / "code"
        self.seen.mkdir()
        for name in SERVICES:
            self.add(f"services/{name}/__main__.py", SERVICE)
        for task in TASKS:
            self.add(f"services/projector/{task}.py", TASK)
        self.add("services/projector/log/restore.py", TASK)
        self.add("services/__init__.py")  # a package, which the real one then doesn't join

    def add(self, module: str, text: str = "") -> None:
        path = self._code / module
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        executable: str | Path = sys.executable,
        account: Account | None = None,
    ) -> Process:
        told = {"SEEN": str(self.seen), "OPENAI_API_KEY": KEY, "TAVILY_API_KEY": KEY, **(environment or {})}
        path = [self._code, ROOT]
        return python("-m", "cli", *arguments, path=path, environment=told, executable=executable, account=account)

    def beside(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Process:
        """A verb for the system that runs on the data."""
        return self.run(*arguments, "--data", str(self.data), environment=environment)

    def up(self, *arguments: str, port: int = 0, environment: Mapping[str, str] | None = None) -> Process:
        choice = ("--data", str(self.data), "--port", str(port))
        return self.run("up", *choice, *arguments, environment=environment)

    def pid(self, name: str) -> int:
        return noted_processes(self.data / REGISTER)[name][0]

    def told(self, name: str) -> dict[str, str]:
        """The environment of this process, as `writer-1`."""
        return self.told_once(f"{name.split('-', maxsplit=1)[0]}-{self.pid(name)}")

    def told_once(self, task: str) -> dict[str, str]:
        """The environment of the last process that ran this task."""
        return json.loads((self.seen / f"{task}.json").read_text())


@pytest.fixture
def start() -> Generator[Start]:
    with temporary_folder() as folder:
        yield Start(folder)


@pytest.fixture(scope="module")
def running() -> Generator[tuple[Start, Process, str]]:
    """A system that runs, what it says, and its address."""
    with temporary_folder() as folder:
        start = Start(folder)
        with start.up("--scale", "writer=2,illustrator=0,projector=2") as process:
            address = process.until("Pressroom is ready at").split()[-1]
            process.until("Model: ")
            yield start, process, address


Running = tuple[Start, Process, str]


class TestWhileItRuns:
    def test_the_ready_line_comes_first_and_the_model_second(self, running: Running) -> None:
        _, process, address = running
        assert process.output == [f"Pressroom is ready at {address}", "Model: OpenAI's API at https://api.openai.com"]
        assert address.startswith("http://127.0.0.1:")

    def test_the_gateway_answers_at_the_address(self, running: Running) -> None:
        with urllib.request.urlopen(f"{running[2]}/health/ready") as answer:  # noqa: S310 - our own address
            assert answer.status == 200

    def test_as_many_processes_run_as_were_asked_for(self, running: Running) -> None:
        names = set(noted_processes(running[0].data / REGISTER))
        servers, projectors = {"nats", "postgres", "s3"}, {"projector-1", "projector-2"}
        assert names == {*servers, "gateway-1", "research-1", "writer-1", "writer-2", *projectors}

    def test_each_service_is_told_what_it_needs_and_no_more(self, running: Running) -> None:
        start, _, address = running
        gateway, writer, other = (start.told(name) for name in ("gateway-1", "writer-1", "writer-2"))
        assert f"http://{gateway['PRESSROOM_HOST']}:{gateway['PRESSROOM_PORT']}" == address
        assert gateway["PRESSROOM_POSTGRES_URL"].startswith("postgresql://gateway:")
        assert gateway["PRESSROOM_S3_BUCKET"] == "pressroom"
        assert "PRESSROOM_HEALTH_PORT" not in gateway
        assert writer["PRESSROOM_NATS_USER"] == "writer"
        assert writer["PRESSROOM_NATS_PASSWORD"] != gateway["PRESSROOM_NATS_PASSWORD"]
        assert writer["PRESSROOM_HEALTH_PORT"] != other["PRESSROOM_HEALTH_PORT"]
        assert writer["OPENAI_API_KEY"] == KEY
        assert "127.0.0.1" in writer["NO_PROXY"]
        assert not {"PRESSROOM_PORT", "OPENAI_BASE_URL"} & set(writer)

    def test_nobody_is_told_the_secret_of_a_door_it_does_not_use(self, running: Running) -> None:
        start, _, _ = running
        told = {name: start.told(f"{name}-1") for name in ("gateway", "research", "writer", "projector")}
        told["tables"] = start.told_once("setup")
        secrets = {
            "PRESSROOM_NATS_PASSWORD": {"gateway", "research", "writer", "projector"},
            "PRESSROOM_POSTGRES_URL": {"gateway", "projector", "tables"},
            "PRESSROOM_S3_SECRET_KEY": {"gateway"},
            "OPENAI_API_KEY": {"research", "writer"},
            "TAVILY_API_KEY": {"research"},
        }
        assert {
            secret: {name for name, environment in told.items() if secret in environment} for secret in secrets
        } == secrets

    def test_the_tables_are_set_up_by_their_owner_before_any_service_starts(self, running: Running) -> None:
        start, process, _ = running
        assert start.told_once("setup")["PRESSROOM_POSTGRES_URL"].startswith("postgresql://postgres:")
        first_service = next(number for number, line in enumerate(process.said) if "starting gateway-1" in line)
        assert process.said.index("tables-set-up | setup with []") < first_service

    def test_no_line_shows_a_key_or_a_password(self, running: Running) -> None:
        start, process, _ = running
        kept = json.loads((start.data / "state.json").read_text())
        secrets = [KEY, *(value for name, value in kept.items() if name.startswith("password."))]
        logs = [path.read_text() for path in (start.data / "logs").iterdir()]
        shown = "\n".join([*process.said, *process.output, *logs])
        assert [secret for secret in secrets if secret in shown] == []

    def test_children_are_shown_by_name_and_kept_in_log_files(self, running: Running) -> None:
        start, process, _ = running
        assert "research-1    | hello from research" in process.said
        assert (start.data / "logs" / "research-1.log").read_text().startswith("hello from research\n")

    def test_a_killed_service_is_started_again(self, running: Running) -> None:
        start, process, _ = running
        first = start.pid("research-1")
        os.kill(first, signal.SIGKILL)
        process.until("research-1 was killed by SIGKILL")
        process.until("research-1 answers again")
        assert start.pid("research-1") != first

    def test_who_comes_while_a_gateway_is_dead_waits_for_the_next(self, running: Running) -> None:
        start, process, address = running
        host, _, port = address.removeprefix("http://").rpartition(":")
        first = start.pid("gateway-1")
        os.kill(first, signal.SIGKILL)
        process.until("gateway-1 was killed by SIGKILL")
        with socket.create_connection((host, int(port)), timeout=60) as waiting:
            waiting.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
            assert waiting.recv(100).startswith(b"HTTP/1.0 200")
        process.until("gateway-1 answers again")
        assert start.pid("gateway-1") != first

    def test_a_second_start_on_the_same_data_names_the_first(self, running: Running) -> None:
        start, process, address = running
        with start.up() as second:
            assert second.wait() == 1
        assert second.said == [
            f"Pressroom cannot start. Pressroom already runs on the data directory {start.data}: at {address}, "
            f"process {process.pid}. Stop it, or choose another directory with --data."
        ]

    def test_one_more_process_is_told_the_same(self, running: Running) -> None:
        start, _, _ = running
        with start.run("service", "illustrator", "--data", str(start.data)) as more:
            more.until("hello from illustrator")
            more.signal(signal.SIGINT)
            more.until("leaving")
            assert more.wait() == 0
        told = json.loads((start.seen / f"illustrator-{more.pid}.json").read_text())
        assert told["PRESSROOM_NATS_USER"] == "illustrator"
        assert told["PRESSROOM_NATS_URL"] == start.told("writer-1")["PRESSROOM_NATS_URL"]

    @pytest.mark.parametrize("task", ["rebuild", "verify"])
    def test_a_task_of_the_projector_has_its_rights_and_its_own_arguments(self, running: Running, task: str) -> None:
        start, _, _ = running
        with start.beside(task, "--most", "3", "--adopt-log", environment={f"{task}_ends_with": "3"}) as process:
            process.until(f"{task} with ['--most', '3', '--adopt-log']")
            assert process.wait() == 3, "the exit code is its own"
        told = start.told_once(task)
        assert (told["PRESSROOM_NATS_USER"], "OPENAI_API_KEY" in told) == ("projector", False)
        assert told["PRESSROOM_POSTGRES_URL"] == start.told("projector-1")["PRESSROOM_POSTGRES_URL"]

    def test_restore_of_the_log_has_set_ups_rights_there_and_the_projectors_on_the_tables(
        self, running: Running
    ) -> None:
        start, _, _ = running
        with start.beside("log", "restore", "--yes", "--of", "an-id") as process:
            process.until("restore with ['--yes', '--of', 'an-id']")
            assert process.wait() == 0
        told = start.told_once("restore")
        assert (told["PRESSROOM_NATS_USER"], "OPENAI_API_KEY" in told) == ("set-up", False)
        assert told["PRESSROOM_POSTGRES_URL"] == start.told("projector-1")["PRESSROOM_POSTGRES_URL"]

    def test_another_runs_beside_it(self, running: Running, start: Start) -> None:
        with start.up(environment={"OPENAI_API_KEY": "", "PRESSROOM_STANDIN_LATENCY_S": "0"}) as process:
            assert process.until("Pressroom is ready at").split()[-1] != running[2]
            process.until("Texts and pictures are samples from the stand-in model; set OPENAI_API_KEY for real ones.")
            told = start.told("writer-1")
            assert told["OPENAI_API_KEY"] == "sample"
            with urllib.request.urlopen(told["OPENAI_BASE_URL"].replace("/v1", "/health")) as answer:  # noqa: S310
                assert answer.status == 200


class TestStop:
    def test_services_leave_first_and_nothing_stays(self, start: Start) -> None:
        with start.up() as process:
            process.until("Pressroom is ready at")
            family = process.descendants()
            process.signal(signal.SIGTERM)
            process.until("leaving")
            assert process.wait() == 0
        assert survivors(family) == []
        assert "Initiating Shutdown" in (start.data / "logs" / "nats.log").read_text()

    def test_a_stop_in_the_middle_of_the_start_is_obeyed(self, start: Start) -> None:
        with start.up() as process:
            process.until("nats answers")
            family = process.descendants()
            process.signal(signal.SIGINT)
            assert process.wait() == 0
        assert process.output == []
        assert survivors(family) == []

    def test_a_killed_start_leaves_nothing_and_can_be_repeated(self, start: Start) -> None:
        with start.up() as process:
            process.until("Pressroom is ready at")
            family = process.descendants()
            process.signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        with start.up() as again:
            again.until("Pressroom is ready at")
            assert survivors(family) == []
            again.signal(signal.SIGINT)
            assert again.wait() == 0


class TestWhatIsInTheWay:
    def test_an_occupied_port_stops_the_start_before_anything_else(self, start: Start) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with start.up(port=port) as process:
                assert process.wait() == 1
        assert process.said == [
            f"Pressroom cannot start. Port {port} of 127.0.0.1 cannot be used: Address already in use. "
            "Choose another with --port."
        ]
        assert not start.data.exists()

    def test_a_port_that_was_taken_since_it_was_chosen_is_chosen_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken, free = other.getsockname()[1], free_port()
            monkeypatch.setattr(local_up, "free_port", iter([taken, free]).__next__)
            with open_entrance("127.0.0.1", 0) as entrance:
                assert entrance.getsockname()[1] == free

    def test_a_port_is_held_from_its_choice_on(self) -> None:
        with open_entrance("127.0.0.1", 0) as entrance:
            port = entrance.getsockname()[1]
            assert not is_free(port)
            with pytest.raises(CannotStart):
                open_entrance("127.0.0.1", port)

    def test_a_host_of_another_machine_is_refused(self, start: Start) -> None:
        with start.up("--host", "192.0.2.7", port=free_port()) as process:
            assert process.wait() == 1
        assert "of 192.0.2.7 cannot be used: Cannot assign requested address" in process.said[0]

    def test_a_service_that_cannot_start_stops_everything(self, start: Start) -> None:
        with start.up(environment={"BROKEN": "research"}) as process:
            process.until("starting research-1")
            family = process.descendants()
            assert process.wait() == 1
        assert process.said[-1].strip() == "out of ink"
        assert any("research-1 ended with 1, 5 times in a row" in line for line in process.said)
        assert survivors(family) == []

    def test_a_set_up_that_fails_stops_everything(self, start: Start) -> None:
        with start.up(environment={"PRESSROOM_LOG_BYTES_MAX": "12"}) as process:
            assert process.wait() == 1
        assert any("The setting PRESSROOM_LOG_BYTES_MAX is wrong" in line for line in process.said)
        assert process.said[-1] == "Pressroom cannot start. The step set-up ended with 2; its own words are above."

    def test_a_set_up_of_the_tables_that_fails_stops_everything(self, start: Start) -> None:
        with start.up(environment={"setup_ends_with": "1"}) as process:
            assert process.wait() == 1
        assert "Pressroom cannot start. The step tables-set-up ended with 1" in process.said[-1]
        assert not any("starting gateway-1" in line for line in process.said)

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (["service", "projector"], 1),
            (["rebuild"], 1),
            (["verify"], 2),
            (["log", "verify"], 2),
            (["log", "restore"], 1),
        ],
        ids=str,
    )
    def test_what_is_done_beside_needs_a_running_system(self, start: Start, arguments: list[str], code: int) -> None:
        with start.beside(*arguments) as process:
            assert process.wait() == code
        assert process.said == [
            f"Nothing runs on the data directory {start.data}; `./run up --data {start.data}` starts it."
        ]

    @pytest.mark.parametrize("verb", [["service", "writer"], ["rebuild"], ["verify"]], ids=lambda one: one[0])
    def test_what_is_done_beside_waits_for_a_start_under_way(self, start: Start, verb: list[str]) -> None:
        with DataDirectory(start.data).held("http://127.0.0.1:8000"), start.beside(*verb) as process:
            assert process.wait() != 0
        assert process.said == ["Pressroom at http://127.0.0.1:8000 is still starting; try again when it is ready."]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["dance"], "invalid choice: 'dance' (choose from"),
            (["service", "accountant"], "invalid choice: 'accountant'"),
            (["up", "--port", "80000"], "'80000' is no port"),
            (["up", "--adopt-log"], "unrecognized arguments: --adopt-log"),
            (["--scale", "writer=99"], "'writer=99' is not like writer=2"),
            (
                ["--scale", "gateway=2"],
                "'gateway=2' is not like writer=2: one of research, writer, illustrator, projector and 0 to 16",
            ),
        ],
    )
    def test_a_wrong_word_is_named(self, start: Start, arguments: list[str], words: str) -> None:
        with start.run(*arguments) as process:
            assert process.wait() == 2
        assert words in " ".join(process.said)


class TestAProjectorThatIsHeldUp:
    """Its tables are behind, perhaps until somebody rebuilds them; for that, the system has to run."""

    def test_all_else_starts_without_it(self, start: Start) -> None:
        with start.up(environment={"HELD_UP": "projector"}) as process:
            process.until("Pressroom is ready at")
            with start.beside("rebuild") as rebuild:
                assert rebuild.wait() == 0
        assert any("projector-1 lives but is held up" in line for line in process.said)

    async def test_it_is_waited_for_at_first(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        async def only_live(_: str, __: int, path: str) -> bool:
            return path == "/health/live"

        monkeypatch.setattr(local_services, "answers_ok", only_live)
        machine = Machine(DataDirectory(start.data), has_standin=False, user={}, host="127.0.0.1", port=0)
        projector, writer = Service(machine, "projector", 1), Service(machine, "writer", 1)
        with machine.data.held("a test"):
            for service in (projector, writer):
                service.launch(settled=False)
            assert not await projector.answers()
            monkeypatch.setattr(local_services, "HELD_UP_S", 0.0)
            assert await projector.answers()
            assert not await writer.answers(), "a stage that is not ready does no work"


class TestAsAnOrdinaryUser:
    def test_the_whole_start_works(self, start: Start) -> None:
        """As root this becomes `nobody`, where there is a Python that `nobody` can reach."""
        executable, account = ordinary_python(start.data.parent)
        if executable is None:
            return
        if account:
            for folder in (start.data.parent, start.seen):
                os.chown(folder, account.user, account.group)
        choice = ("--data", str(start.data), "--port", "0")
        with start.run("up", *choice, executable=executable, account=account) as process:
            process.until("Pressroom is ready at")
            assert start.told("projector-1")["PRESSROOM_NATS_USER"] == "projector"
        assert "tables-set-up | setup with []" in process.said


class TestBenchmarks:
    def test_none_is_told_as_none(self, start: Start) -> None:
        start.add("benchmarks/__init__.py")
        with start.run("bench") as process:
            assert process.wait() == 0
        assert process.output == ["There are no benchmarks here."]

    def test_each_is_listed_with_its_first_line(self, start: Start) -> None:
        start.add("benchmarks/__init__.py")
        start.add("benchmarks/nothing.py", BENCHMARK)
        start.add("benchmarks/workload.py", '"""What several of them share."""')
        listed = ["These can be run with `./run bench NAME`:", "    nothing   How long nothing takes."]
        with start.run("bench") as process:
            assert process.wait() == 0
        assert process.output == listed
        with start.run("bench", "workload") as process:
            assert process.wait() == 2
        assert process.said == [f"There is no benchmark 'workload'. {listed[0]}", listed[1]]

    def test_one_is_run_with_its_arguments_where_the_user_is(self, start: Start) -> None:
        start.add("benchmarks/__init__.py")
        start.add("benchmarks/nothing.py", BENCHMARK)
        with start.run("bench", "nothing", "--data", "there", "--help") as process:
            assert process.wait() == 7
        assert process.output == ["['--data', 'there', '--help'] /"]


class TestWhatTheUserHasSet:
    def test_the_environment_wins_over_the_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / ".env").write_text("OPENAI_API_KEY=from-file\nTAVILY_API_KEY=from-file\n")
        monkeypatch.setattr(local_services, "ROOT", tmp_path)
        monkeypatch.setenv("OPENAI_API_KEY", "")
        user = environment_of_user()
        assert (user["OPENAI_API_KEY"], user["TAVILY_API_KEY"]) == ("", "from-file")

    @pytest.mark.parametrize(
        ("user", "needed"),
        [
            ({}, True),
            ({"OPENAI_API_KEY": ""}, True),
            ({"OPENAI_API_KEY": KEY}, False),
            ({"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}, False),
        ],
    )
    def test_a_key_or_an_address_replaces_the_standin(self, user: dict[str, str], needed: bool) -> None:
        assert needs_standin(user) is needed
