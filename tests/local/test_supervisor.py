"""The supervisor: it restarts what dies, shows what is said, stops in reverse order, and leaves no orphan."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from local import supervisor as rules
from local.console import Console, LogFile
from local.spawn import Launch, end_survivors, is_alive, note_processes, noted_processes
from local.state import CannotStart
from local.supervisor import REGISTER, Program, Supervisor
from tests.local.heard import Words, python, survivors

ROOT = Path(__file__).resolve().parents[2]
WAIT = "while :; do sleep 1 & wait; done"  # a shell that waits for a signal, and hears it at once


class Script(Program):
    """A child written in shell. It answers once it has said so in a file."""

    grace_s = 20.0

    def __init__(self, name: str, folder: Path, script: str) -> None:
        self.name = name
        self.starts: list[bool] = []
        self._sign = folder / f"{name}.answers"
        self._script = script

    def launch(self, *, settled: bool) -> Launch:
        self.starts.append(settled)
        self._sign.unlink(missing_ok=True)
        return Launch(["/bin/sh", "-c", self._script], {"PATH": os.environ["PATH"], "SIGN": str(self._sign)})

    async def answers(self) -> bool:
        return self._sign.exists()


class Ailing(Script):
    """Its first process is of no use once it has said so."""

    hurts = False

    def hear(self, line: str) -> None:
        self.hurts = "it hurts" in line and len(self.starts) == 1

    def ailment(self) -> str | None:
        return "it said that it hurts" if self.hurts and len(self.starts) == 1 else None


class ShortLived(Script):
    """Dies as soon as its answer was noticed once; later lives end at once."""

    def __init__(self, name: str, folder: Path) -> None:
        self._noticed = folder / f"{name}.noticed"
        wait = f"while [ ! -e {self._noticed} ]; do sleep 0.01; done"
        super().__init__(name, folder, f"touch $SIGN; {wait}; exit 1")

    async def answers(self) -> bool:
        if await super().answers():
            self._noticed.touch()
            return True
        return False


@asynccontextmanager
async def supervised(folder: Path, words: Words, *programs: Program) -> AsyncGenerator[Supervisor]:
    (folder / "logs").mkdir(exist_ok=True)
    async with Supervisor(folder, words) as supervisor:
        for program in programs:
            await supervisor.start(program)
        yield supervisor


@pytest.fixture
async def words() -> AsyncGenerator[Words]:
    words = Words()
    yield words
    words.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "DELAY_FIRST_S", 0.01)
    monkeypatch.setattr(rules, "DELAY_MAX_S", 0.04)


def pid_of(folder: Path, name: str) -> int:
    return noted_processes(folder / REGISTER)[name][0]


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and is_alive(psutil.Process(pid))


class TestWhenAChildDies:
    async def test_a_killed_child_is_started_again(self, tmp_path: Path, words: Words) -> None:
        child = Script("one", tmp_path, f"touch $SIGN; {WAIT}")
        async with supervised(tmp_path, words, child):
            first = pid_of(tmp_path, "one")
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await words.until("one answers again")
            assert pid_of(tmp_path, "one") not in (None, first)
            assert words.count("one was killed by SIGKILL") == 1
            assert child.starts == [False, True], "a child that others know keeps its port"

    @pytest.mark.usefixtures("quick")
    async def test_the_delay_doubles_up_to_its_maximum(self, tmp_path: Path, words: Words) -> None:
        async with supervised(tmp_path, words, ShortLived("one", tmp_path)):
            await words.until("is started again", times=4)
        delays = [line.rsplit(" ", 2)[1] for line in words.heard if "is started again" in line]
        assert delays[:4] == ["0.01", "0.02", "0.04", "0.04"]

    @pytest.mark.usefixtures("quick")
    async def test_the_delay_is_short_again_after_a_good_life(
        self, tmp_path: Path, words: Words, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rules, "LIVED_WELL_S", 0.0)
        async with supervised(tmp_path, words, ShortLived("one", tmp_path)):
            await words.until("it is started again in 0.01 s", times=3)

    @pytest.mark.usefixtures("quick")
    async def test_a_child_that_ails_is_started_anew(
        self, tmp_path: Path, words: Words, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rules, "CARE_S", 0.01)
        has_answered = tmp_path / "has-answered"
        ails = f"touch $SIGN; while [ ! -e {has_answered} ]; do sleep 0.01; done; echo it hurts; {WAIT}"
        async with supervised(tmp_path, words, Ailing("one", tmp_path, ails)):
            has_answered.touch()
            await words.until("one is started anew: it said that it hurts")
            await words.until("one answers again")

    async def test_what_a_dead_child_has_started_dies_as_well(self, tmp_path: Path, words: Words) -> None:
        async with supervised(tmp_path, words, Script("one", tmp_path, f"sleep 600 & echo $!; touch $SIGN; {WAIT}")):
            grandchild = next(int(line.split()[-1]) for line in words.heard if line.startswith("one | "))
            os.kill(pid_of(tmp_path, "one"), signal.SIGKILL)
            await words.until("one answers again")
            assert not alive(grandchild)


class TestWhenAChildCannotStart:
    @pytest.mark.usefixtures("quick")
    async def test_five_deaths_stop_everything_with_its_last_words(self, tmp_path: Path, words: Words) -> None:
        good = Script("good", tmp_path, f"touch $SIGN; {WAIT}")
        bad = Script("bad", tmp_path, "echo the disk is made of cheese; exit 3")
        with pytest.raises(CannotStart, match=r"bad ended with 3, 5 times in a row(.|\n)*made of cheese"):
            async with supervised(tmp_path, words, good, bad):
                raise AssertionError("it never answered")
        assert bad.starts == [False] * 5
        assert not (tmp_path / REGISTER).exists()

    async def test_a_child_that_never_answers_stops_everything(
        self, tmp_path: Path, words: Words, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rules, "READY_WITHIN_S", 0.2)
        with pytest.raises(CannotStart, match="mute did not answer within"):
            async with supervised(tmp_path, words, Script("mute", tmp_path, WAIT)):
                raise AssertionError("it never answered")

    @pytest.mark.usefixtures("quick")
    async def test_a_program_that_is_not_there_is_named(self, tmp_path: Path, words: Words) -> None:
        class Absent(Script):
            def launch(self, *, settled: bool) -> Launch:
                return Launch(["/nowhere/server"], {})

        with pytest.raises(CannotStart, match="No such file or directory: '/nowhere/server'"):
            async with supervised(tmp_path, words, Absent("absent", tmp_path, "")):
                raise AssertionError("it never answered")

    async def test_a_step_can_follow_one_server_while_another_still_starts(self, tmp_path: Path, words: Words) -> None:
        quick = Script("quick", tmp_path, f"touch $SIGN; {WAIT}")
        slow = Script("slow", tmp_path, f"while [ ! -e {tmp_path}/done ]; do sleep 0.01; done; touch $SIGN; {WAIT}")
        async with supervised(tmp_path, words) as supervisor:
            starting = asyncio.create_task(supervisor.start(quick, slow))
            await words.until("starting slow")
            await supervisor.answered("quick")
            touch = Launch(["/bin/sh", "-c", f"touch {tmp_path}/done"], {"PATH": os.environ["PATH"]})
            await supervisor.run_once("step", touch)
            await starting
        assert words.count("slow answers") == 1

    async def test_a_step_that_fails_stops_the_start(self, tmp_path: Path, words: Words) -> None:
        async with supervised(tmp_path, words) as supervisor:
            with pytest.raises(CannotStart, match="The step set-up ended with 4"):
                await supervisor.run_once("set-up", Launch(["/bin/sh", "-c", "echo not so; exit 4"], {}))
        assert "set-up | not so" in words.heard


class TestStop:
    async def test_the_last_started_is_the_first_stopped(self, tmp_path: Path, words: Words) -> None:
        order = tmp_path / "order"
        programs = [
            Script(name, tmp_path, f"trap 'echo {name} >> {order}; exit' TERM; touch $SIGN; {WAIT}")
            for name in ("server", "set", "service")
        ]
        async with supervised(tmp_path, words, *programs):
            pass
        assert order.read_text().split() == ["service", "set", "server"]

    async def test_a_stubborn_child_is_killed_after_its_grace(self, tmp_path: Path, words: Words) -> None:
        stubborn = Script("stubborn", tmp_path, f"trap '' TERM; touch $SIGN; {WAIT}")
        stubborn.grace_s = 0.1
        async with supervised(tmp_path, words, stubborn):
            pid = pid_of(tmp_path, "stubborn")
        assert not alive(pid)
        assert words.count("stubborn has not stopped within 0.1 s") == 1

    async def test_the_impatient_need_not_wait_for_a_grace(self, tmp_path: Path, words: Words) -> None:
        stubborn = Script("stubborn", tmp_path, f"trap 'echo I heard' TERM; touch $SIGN; {WAIT}")
        server = Script("server", tmp_path, f"touch $SIGN; {WAIT}")
        async with supervised(tmp_path, words, server, stubborn) as supervisor:
            hurry = asyncio.create_task(words.until("I heard"))
            hurry.add_done_callback(lambda _: supervisor.kill())
        await hurry
        assert words.count("has not stopped within") == 0
        assert server.starts == [False], "what is killed for good is not started again"

    async def test_a_child_in_its_pause_is_not_started_again(self, tmp_path: Path, words: Words) -> None:
        child = Script("one", tmp_path, f"touch $SIGN; {WAIT}")
        async with supervised(tmp_path, words, child):
            os.kill(pid_of(tmp_path, "one"), signal.SIGKILL)
            await words.until("it is started again")
        assert child.starts == [False]


class TestNoOrphans:
    def test_no_child_outlives_a_killed_supervisor(self, tmp_path: Path) -> None:
        with python("-c", SUPERVISOR_OF_TWO, tmp_path, path=[ROOT]) as process:
            process.until("all started")
            family = process.descendants()
            process.signal(signal.SIGKILL)
            assert len(family) >= 2
            assert survivors(family) == []

    def test_the_next_start_ends_what_is_left(self, tmp_path: Path) -> None:
        left = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
        note_processes(tmp_path / REGISTER, {"nats": left.pid})
        end_survivors(tmp_path / REGISTER)
        assert left.wait() == -signal.SIGKILL

    def test_a_stranger_with_the_same_number_is_left_alone(self, tmp_path: Path) -> None:
        register = tmp_path / REGISTER
        stranger = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
        register.write_text(f'{{"nats": [{stranger.pid}, 1000000.0]}}')
        end_survivors(register)
        assert stranger.poll() is None
        stranger.kill()
        stranger.wait()


class TestWhatChildrenSay:
    async def test_each_line_is_shown_with_its_name_and_kept(self, tmp_path: Path, words: Words) -> None:
        script = f"echo first; echo second >&2; printf '\\377 last'; touch $SIGN; {WAIT}"
        async with supervised(tmp_path, words, Script("one", tmp_path, script)):
            pass
        said = ["first", "second", "\ufffd last"]
        assert [line for line in words.heard if line.startswith("one | ")] == [f"one | {text}" for text in said]
        assert (tmp_path / "logs" / "one.log").read_text().splitlines() == said

    async def test_a_line_without_end_is_shown_in_parts(self, tmp_path: Path, words: Words) -> None:
        script = f"head -c 100000 /dev/zero | tr '\\0' x; touch $SIGN; {WAIT}"
        async with supervised(tmp_path, words, Script("one", tmp_path, script)):
            pass
        parts = [line.removeprefix("one | ") for line in words.heard if line.startswith("one | ")]
        assert sum(map(len, parts)) == 100_000
        assert len(parts) > 1

    async def test_chatter_is_kept_but_not_shown(self, tmp_path: Path, words: Words) -> None:
        child = Script("one", tmp_path, f"echo chatter; echo ERROR ouch; touch $SIGN; {WAIT}")
        child.noteworthy = re.compile("ERROR")
        async with supervised(tmp_path, words, child):
            pass
        assert [line for line in words.heard if line.startswith("one | ")] == ["one | ERROR ouch"]
        assert "chatter" in (tmp_path / "logs" / "one.log").read_text()

    def test_a_log_file_is_bounded(self, tmp_path: Path) -> None:
        log = LogFile(tmp_path / "one.log", bytes_max=100)
        for number in range(100):
            log.write(f"line {number}")
        log.close()
        sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
        assert set(sizes) == {"one.log", "one.log.1"}
        assert max(sizes.values()) <= 110
        assert "line 99" in (tmp_path / "one.log").read_text() + (tmp_path / "one.log.1").read_text()

    def test_a_terminal_that_nobody_reads_holds_nobody_up(self) -> None:
        read_end, write_end = os.pipe()
        stream = os.fdopen(write_end, "w")
        console = Console(stream)
        for number in range(30_000):
            console.show("one", f"line {number} of more than a pipe takes")
        os.close(read_end)  # the reader goes away for good
        console.close()
        with pytest.raises(BrokenPipeError):
            stream.close()


SUPERVISOR_OF_TWO = """
import asyncio, pathlib, sys
from local.console import Console
from local.supervisor import Supervisor
from tests.local.test_supervisor import Script, WAIT

async def main():
    folder = pathlib.Path(sys.argv[1])
    (folder / "logs").mkdir()
    async with Supervisor(folder, Console()) as supervisor:
        await supervisor.start(*(Script(name, folder, "touch $SIGN; " + WAIT) for name in ("one", "two")))
        print("all started", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
