"""The one-machine start as a user and as a script see it: real servers, with tiny services that only answer."""

import json
import os
import signal
import socket
import urllib.request
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

from contracts.services import GATEWAY, STAGES
from local import services as local_services
from local.servers import temporary_folder
from local.services import environment_of_user, needs_standin
from local.spawn import noted_processes
from local.state import free_port
from local.supervisor import REGISTER
from tests.local.heard import Process, python, survivors

ROOT = Path(__file__).resolve().parents[2]
KEY = "canary-of-the-user"

# Says hello, writes down what it was told, answers on its port, and drains nothing on SIGTERM.
SERVICE = """
import json, os, pathlib, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health/ready" else 404)
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
port = int(os.environ.get("PRESSROOM_PORT") or os.environ["PRESSROOM_HEALTH_PORT"])
HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""


class Start:
    """A folder with tiny services and with data, and `./run …` on it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.seen = folder / "seen"
        self._code = folder / "code"
        self.seen.mkdir()
        for name in (GATEWAY, *STAGES):
            (self._code / "services" / name).mkdir(parents=True)
            (self._code / "services" / name / "__main__.py").write_text(SERVICE)
        (self._code / "services" / "__init__.py").touch()  # a package, which the real one then doesn't join

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Process:
        told = {"SEEN": str(self.seen), "OPENAI_API_KEY": KEY, **(environment or {})}
        return python("-m", "local", *arguments, path=[self._code, ROOT], environment=told)

    def up(self, *arguments: str, port: int = 0, environment: Mapping[str, str] | None = None) -> Process:
        choice = ("--data", str(self.data), "--port", str(port))
        return self.run("up", *choice, *arguments, environment=environment)

    def pid(self, name: str) -> int:
        return noted_processes(self.data / REGISTER)[name][0]

    def told(self, name: str) -> dict[str, str]:
        """The environment of this process."""
        return json.loads((self.seen / f"{name.split('-', maxsplit=1)[0]}-{self.pid(name)}.json").read_text())


@pytest.fixture
def start() -> Generator[Start]:
    with temporary_folder() as folder:
        yield Start(folder)


@pytest.fixture(scope="module")
def running() -> Generator[tuple[Start, Process, str]]:
    """A system that runs, what it says, and its address."""
    with temporary_folder() as folder:
        start = Start(folder)
        with start.up("--scale", "writer=2,illustrator=0") as process:
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
        assert names == {"nats", "postgres", "s3", "gateway-1", "research-1", "writer-1", "writer-2"}

    def test_each_service_is_told_what_it_needs_and_no_more(self, running: Running) -> None:
        start, _, address = running
        gateway, writer, other = (start.told(name) for name in ("gateway-1", "writer-1", "writer-2"))
        assert f"http://{gateway['PRESSROOM_HOST']}:{gateway['PRESSROOM_PORT']}" == address
        assert gateway["PRESSROOM_POSTGRES_URL"].startswith("postgresql://gateway:")
        assert "PRESSROOM_HEALTH_PORT" not in gateway
        assert writer["PRESSROOM_NATS_USER"] == "writer"
        assert writer["PRESSROOM_NATS_PASSWORD"] != gateway["PRESSROOM_NATS_PASSWORD"]
        assert writer["PRESSROOM_S3_BUCKET"] == "pressroom"
        assert writer["PRESSROOM_HEALTH_PORT"] != other["PRESSROOM_HEALTH_PORT"]
        assert writer["OPENAI_API_KEY"] == KEY
        assert "127.0.0.1" in writer["NO_PROXY"]
        assert not {"PRESSROOM_POSTGRES_URL", "PRESSROOM_PORT", "OPENAI_BASE_URL"} & set(writer)

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

    def test_one_more_process_needs_a_running_system(self, start: Start) -> None:
        with start.run("service", "writer", "--data", str(start.data)) as process:
            assert process.wait() == 1
        assert f"Nothing runs on the data directory {start.data}" in process.said[0]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["dance"], "invalid choice: 'dance' (choose from 'up', 'service')"),
            (["service", "accountant"], "invalid choice: 'accountant'"),
            (["up", "--port", "80000"], "'80000' is no port"),
            (["--scale", "gateway=2"], "'gateway=2' is not like writer=2"),
            (["--scale", "writer=99"], "'writer=99' is not like writer=2"),
        ],
    )
    def test_a_wrong_word_is_named(self, start: Start, arguments: list[str], words: str) -> None:
        with start.run(*arguments) as process:
            assert process.wait() == 2
        assert words in " ".join(process.said)


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
