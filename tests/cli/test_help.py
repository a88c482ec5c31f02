"""The one help of the one command, and what it costs to start it."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.manual import BOOTSTRAP, GROUPS, VERBS, whole_help
from tests.cli.command import Command

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"httpx2", "websockets", "rich", "pydantic", "asyncpg", "nats"}


@pytest.fixture
def bare(tmp_path: Path) -> Command:
    return Command({}, tmp_path)


class TestHelp:
    @pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]], ids=lambda words: words[0])
    def test_every_verb_is_in_it(self, bare: Command, words: list[str]) -> None:
        ended = bare.run(*words)
        assert (ended.code, ended.err) == (0, "")
        for group, verbs in GROUPS.items():
            assert f"\n{group}\n" in ended.out
            for verb in verbs:
                assert f"\n  {verb.name} " in ended.out

    def test_a_terminal_of_80_columns_is_enough(self) -> None:
        assert max(map(len, whole_help(GROUPS).splitlines())) <= 80

    @pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
    def test_each_verb_explains_itself(self, bare: Command, verb: object) -> None:
        name = getattr(verb, "name", "")
        for words in ([name, "--help"], ["help", name]):
            ended = bare.run(*words, environment={"COLUMNS": "80"})
            assert ended.code == 0
            assert ended.out.startswith(f"usage: ./run {name}")

    def test_an_unknown_verb_is_named_with_those_that_there_are(self, bare: Command) -> None:
        ended = bare.run("dance")
        assert ended.code == 2
        assert "invalid choice: 'dance' (choose from" in ended.err
        assert "`./run --help` lists the verbs" in ended.err

    def test_it_needs_nothing_that_has_to_be_installed(self) -> None:
        """So that it is there before the first set-up: -S hides all packages."""
        for words in (["--help"], ["create", "--help"], ["up", "--help"]):
            done = subprocess.run(
                [sys.executable, "-S", "-P", "-m", "cli", *words],
                env={"PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, "")

    def test_the_script_itself_shows_it(self, tmp_path: Path) -> None:
        """From anywhere, and without setting anything up."""
        for words in (["--help"], ["-h"], ["list", "--help"], ["checks", "--help"]):
            done = subprocess.run(
                [sys.executable, ROOT / "run", *words], cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.startswith("usage: ./run")

    def test_what_the_script_does_is_said_to_be_done_by_it(self, bare: Command) -> None:
        for verb in (verb.name for verb in VERBS if verb.home == BOOTSTRAP):
            ended = bare.run(verb)
            assert (ended.code, ended.err) == (2, f"`{verb}` is done by the script ./run itself.\n")


def test_a_verb_imports_what_it_needs_and_no_more() -> None:
    code = f"""
import sys
from cli.manual import VERBS, Command
assert not {HEAVY!r} & set(sys.modules)
import cli.listing
assert not {{"rich.markdown", "websockets", "nats", "asyncpg"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
