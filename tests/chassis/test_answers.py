"""The folder of answers: what is kept comes back whole or not at all, to the same question alone, and goes in time."""

import asyncio
import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.typing import EventDict

from chassis import answers as room
from chassis.answers import AGE_MAX_S, THREADS, Answers, Desk, Paid, once
from chassis.model import AnswerMalformed, Citation, ContentRefused, Drawn, ModelUnavailable, Searched, Written
from contracts.events import Usage
from contracts.subjects import WorkflowKey
from contracts.works import Work
from tests.waiting import until

KEY = WorkflowKey("local", "w1")
USAGE = Usage(provider="p", model="m", input_tokens=7, cost_usd=0.1, request_ids=("r1",))

usages = st.builds(
    Usage,
    provider=st.text(),
    model=st.text(),
    input_tokens=st.integers(0, 2**53),
    cost_usd=st.none() | st.floats(0, 1e6),
    request_ids=st.lists(st.text()).map(tuple),
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
citations = st.lists(st.builds(Citation, url=texts, title=texts)).map(tuple)
answers = (
    st.builds(Written, text=texts, usage=usages)
    | st.builds(Searched, text=texts, citations=citations, usage=usages)
    | st.builds(Drawn, data=st.binary(), usage=usages)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "answers"


@pytest.fixture
def a_file(tmp_path: Path) -> Path:
    """Something that is no folder and will be none."""
    path = tmp_path / "file"
    path.write_text("")
    return path


class Provider:
    """Answers every call anew, and counts them. A call fails where it is told so."""

    def __init__(self) -> None:
        self.calls = list[str]()
        self.fails: Exception | None = None

    async def write(self, question: str) -> Written:
        async def call() -> Written:
            self.calls.append(question)
            if self.fails:
                raise self.fails
            number = len(self.calls)
            return Written(f"{question} {number}", USAGE.model_copy(update={"request_ids": (f"r{number}",)}))

        return await once(call, Written, question)


@pytest.fixture
def provider() -> Provider:
    return Provider()


def desk(folder: Path | None, *, work: Work = Work.BLOG, told: tuple[str, ...] = ()) -> Desk:
    """As a process that has just started makes it."""
    return Answers(folder).desk(KEY, work, told)


async def ask(at: Desk, provider: Provider, question: str = "tea") -> Written:
    with at.at_hand():
        return await provider.write(question)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


class TestWhatIsKept:
    @given(answers)
    @settings(max_examples=40, deadline=None)
    def test_comes_back_as_it_was(self, answer: Paid) -> None:
        with TemporaryDirectory() as name:
            place = Path(name) / "a" / "b"
            Answers(Path(name)).write(place, answer)
            assert Answers(Path(name)).read(place, type(answer)) == answer

    @given(st.data())
    @settings(max_examples=40, deadline=None)
    def test_is_no_answer_once_anything_of_it_has_changed(self, data: st.DataObject) -> None:
        with TemporaryDirectory() as name:
            place = Path(name) / "a" / "b"
            Answers(Path(name)).write(place, Written("tea", USAGE))
            whole = place.read_bytes()
            at = data.draw(st.integers(0, len(whole) - 1))
            damaged = data.draw(
                st.sampled_from((whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], whole + b"x"))
            )
            place.write_bytes(damaged)
            assert Answers(Path(name)).read(place, Written) is None

    async def test_is_its_owners_alone(self, folder: Path, provider: Provider) -> None:
        await ask(desk(folder), provider)
        (file,) = files(folder)
        assert file.stat().st_mode & 0o777 == 0o600
        assert {path.stat().st_mode & 0o777 for path in (folder, file.parent)} == {0o700}


class TestWhoIsGivenIt:
    async def test_later_attempt_that_asks_the_same(self, folder: Path, provider: Provider) -> None:
        first = await ask(desk(folder), provider)
        assert await ask(desk(folder), provider) == first and len(provider.calls) == 1

    async def test_that_is_logged(self, folder: Path, provider: Provider, lines: list[EventDict]) -> None:
        await ask(desk(folder), provider, "a canary")
        await ask(desk(folder), provider, "a canary")
        (line,) = lines
        assert (line["event"], line["workflow_id"], line["work"], line["what"]) == (
            "answer kept",
            KEY.workflow_id,
            "blog",
            "written",
        )
        assert "canary" not in repr(lines)

    async def test_another_question_is_a_call_of_its_own(self, folder: Path, provider: Provider) -> None:
        await ask(desk(folder), provider)
        await ask(desk(folder), provider, "coffee")
        assert provider.calls == ["tea", "coffee"]

    async def test_another_work_is_a_call_of_its_own(self, folder: Path, provider: Provider) -> None:
        await ask(desk(folder), provider)
        await ask(desk(folder, work=Work.SOCIAL_X), provider)
        assert len(provider.calls) == 2

    async def test_same_question_twice_in_one_attempt_is_two_answers(self, folder: Path, provider: Provider) -> None:
        for _ in range(2):
            at = desk(folder)
            assert await ask(at, provider) != await ask(at, provider)
        assert len(provider.calls) == 2

    async def test_nobody_where_nothing_is_kept(self, provider: Provider) -> None:
        await ask(desk(None), provider)
        await ask(desk(None), provider)
        assert len(provider.calls) == 2

    async def test_call_outside_of_an_attempt_is_a_call(self, provider: Provider) -> None:
        assert (await provider.write("tea")).usage.request_ids == ("r1",)


class TestWhatItUsed:
    async def test_is_told_where_the_log_has_not_told_it(self, folder: Path, provider: Provider) -> None:
        first = await ask(desk(folder), provider)
        assert (await ask(desk(folder), provider)).usage == first.usage

    async def test_is_nothing_where_the_log_has_told_it(self, folder: Path, provider: Provider) -> None:
        await ask(desk(folder), provider)
        at = desk(folder, told=("r1",))
        usage = (await ask(at, provider)).usage
        assert (usage.calls, usage.input_tokens, usage.cost_usd, usage.request_ids) == (0, 0, 0.0, ())
        assert (usage.model, at.used) == ("m", None)

    async def test_adds_up_over_the_attempt(self, folder: Path, provider: Provider) -> None:
        at = desk(folder)
        await ask(at, provider)
        await ask(at, provider, "coffee")
        assert at.used and (at.used.calls, at.used.cost_usd) == (2, 0.2)

    async def test_call_without_a_name_is_named_so_that_it_is_told_once(self, folder: Path) -> None:
        async def call() -> Written:
            return Written("tea", Usage(provider="p", model="m"))

        with desk(folder).at_hand():
            (name,) = (await once(call, Written, "tea")).usage.request_ids
        with desk(folder, told=(name,)).at_hand():
            assert (await once(call, Written, "tea")).usage.calls == 0


class TestWhatIsForgotten:
    async def test_all_of_a_work_that_is_done(self, folder: Path, provider: Provider) -> None:
        at = desk(folder)
        await ask(at, provider)
        await ask(desk(folder, work=Work.SOCIAL_X), provider)
        await at.clear(is_done=True)
        assert [file.parent.name for file in files(folder)] == ["local.w1.social:x"]

    async def test_last_answer_where_it_is_malformed(self, folder: Path, provider: Provider) -> None:
        at = desk(folder)
        await ask(at, provider, "scene")
        await ask(at, provider, "picture")
        at.judge(AnswerMalformed())
        await at.clear(is_done=False)
        again = desk(folder)
        for question in ("scene", "picture"):
            await ask(again, provider, question)
        assert provider.calls == ["scene", "picture", "picture"]

    async def test_nothing_where_a_later_call_failed(self, folder: Path, provider: Provider) -> None:
        for failure in (AnswerMalformed(), ModelUnavailable()):
            at = desk(folder)
            await ask(at, provider, "scene")
            provider.fails = failure
            with pytest.raises(type(failure)):
                await ask(at, provider, "picture")
            at.judge(failure)
            await at.clear(is_done=False)
        assert provider.calls == ["scene", "picture", "picture"]

    async def test_all_where_they_led_to_a_refusal(self, folder: Path, provider: Provider) -> None:
        at = desk(folder)
        await ask(at, provider, "scene")
        at.judge(ContentRefused())
        await at.clear(is_done=False)
        assert not files(folder)

    async def test_what_nobody_came_back_for_within_a_day(self, folder: Path, provider: Provider) -> None:
        await ask(desk(folder), provider, "old")
        (old,) = files(folder)
        os.utime(old, (0, time.time() - AGE_MAX_S - 1))
        await ask(desk(folder, work=Work.SOCIAL_X), provider, "new")
        Answers(folder).sweep()
        (left,) = files(folder)
        assert left != old and not old.parent.exists()

    async def test_the_oldest_of_what_is_too_much(
        self, folder: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for question in ("one", "two", "three"):
            await ask(desk(folder), provider, question)
        oldest, *newer = files(folder)
        os.utime(oldest, (0, time.time() - 60))
        monkeypatch.setattr(room, "BYTES_MAX", sum(file.stat().st_size for file in newer) + 10)
        Answers(folder).sweep()
        assert set(files(folder)) == set(newer)

    async def test_folder_is_swept_at_the_start(self, folder: Path, provider: Provider) -> None:
        await ask(desk(folder), provider)
        (file,) = files(folder)
        os.utime(file, (0, 0))

        async def is_empty() -> bool:
            return not files(folder)

        async with Answers(folder).tended():
            await until(is_empty, "the folder is swept")


class TestTrouble:
    async def test_damaged_answer_is_none_and_one_line(
        self, folder: Path, provider: Provider, lines: list[EventDict]
    ) -> None:
        await ask(desk(folder), provider, "a canary")
        (file,) = files(folder)
        file.write_bytes(file.read_bytes()[:-1])
        await ask(desk(folder), provider, "a canary")
        assert len(provider.calls) == 2 and [line["event"] for line in lines] == ["kept answer unreadable"]
        assert "canary" not in repr(lines)
        await ask(desk(folder), provider, "a canary")
        assert len(provider.calls) == 2  # the new one took its place

    async def test_folder_that_cannot_be_used_costs_no_answer(
        self, a_file: Path, provider: Provider, lines: list[EventDict]
    ) -> None:
        kept = Answers(a_file)
        for number in range(3):
            with kept.desk(KEY, Work.BLOG).at_hand():
                assert (await provider.write("tea")).text == f"tea {number + 1}"
        assert [line["event"] for line in lines].count("answer not kept") == 1

    async def test_full_disk_costs_no_answer_and_leaves_no_draft(
        self, folder: Path, provider: Provider, lines: list[EventDict], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        assert (await ask(desk(folder), provider)).text == "tea 1"
        assert not files(folder) and lines[0]["why"] == "No space left on device"

    async def test_answer_is_in_its_place_before_the_disk_is_waited_for(
        self, folder: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A process that is killed while it waits has kept it: only a power cut asks for more."""
        there: list[list[int]] = []

        def look(_: int) -> None:
            there.append([len(file.name) for file in files(folder)])

        monkeypatch.setattr(os, "fsync", look)
        await ask(desk(folder), provider)
        assert there and there[0] == [64]  # no draft of it

    async def test_no_answer_waits_for_the_disk_behind_others(
        self, folder: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Many come at once where the disk is slow: each is in its place although none is safe from a power cut yet."""
        is_fast = threading.Event()

        def wait(_: int) -> None:
            is_fast.wait(30)

        monkeypatch.setattr(os, "fsync", wait)
        kept, many = Answers(folder), range(3 * THREADS)
        asking = [asyncio.create_task(ask(kept.desk(KEY, Work.BLOG), provider, f"tea {n}")) for n in many]

        async def are_in_their_places() -> bool:
            return [len(file.name) for file in files(folder)] == [64] * len(many)

        await until(are_in_their_places, "all answers are in their places")
        assert not any(task.done() for task in asking)
        is_fast.set()
        await asyncio.gather(*asking)

    async def test_two_holders_of_one_work_leave_one_whole_answer(self, folder: Path, provider: Provider) -> None:
        both = await asyncio.gather(*(ask(desk(folder), provider) for _ in range(2)))
        assert await ask(desk(folder), provider) in both and len(files(folder)) == 1

    async def test_answer_that_cannot_be_written_down_is_used(self, folder: Path) -> None:
        async def call() -> Written:
            return Written("half a pair: \ud800", USAGE)

        with desk(folder).at_hand():
            assert (await once(call, Written, "tea")).text.endswith("\ud800")
        assert not files(folder)

    async def test_answer_is_kept_although_nobody_waits_any_more(self, folder: Path, provider: Provider) -> None:
        kept = Answers(folder)
        at = kept.desk(KEY, Work.BLOG)
        asking = asyncio.create_task(ask(at, provider))

        async def is_called() -> bool:
            return bool(provider.calls)

        async def is_kept() -> bool:
            return [len(file.name) for file in files(folder)] == [64]  # no draft of it

        await until(is_called, "the call is made")
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await until(is_kept, "the answer is kept")
        await ask(desk(folder), provider)
        assert len(provider.calls) == 1


ENDS = ("dies", "fails and says so", "malformed", "done")


class TestAnyAttempts:
    """Whatever becomes of the attempts: nothing is called twice without need, and nothing is told twice."""

    @given(st.lists(st.tuples(st.lists(st.sampled_from("abc"), max_size=3), st.sampled_from(ENDS)), max_size=6))
    @settings(max_examples=25, deadline=None)
    def test_each_call_is_told_once_and_made_again_only_when_it_was_spoilt(
        self, attempts: list[tuple[list[str], str]]
    ) -> None:
        async def run() -> None:
            provider, told, known = Provider(), list[str](), set[tuple[str, int]]()
            with TemporaryDirectory() as name:
                for questions, end in attempts:
                    at, given = desk(Path(name), told=tuple(told)), list[tuple[str, int]]()
                    for question in questions:
                        before = len(provider.calls)
                        await ask(at, provider, question)
                        given.append((question, sum(one == question for one, _ in given) + 1))
                        assert (len(provider.calls) == before) == (given[-1] in known)
                        known.add(given[-1])
                    if end == "dies":
                        continue
                    told += at.used.request_ids if at.used else ()
                    if end == "malformed":
                        at.judge(AnswerMalformed())
                        known -= set(given[-1:])
                    await at.clear(is_done=end == "done")
                    known -= known if end == "done" else set[tuple[str, int]]()
            assert len(told) == len(set(told)) <= len(provider.calls)

        asyncio.run(run())


def test_names_of_files_say_nothing_of_what_was_asked(tmp_path: Path) -> None:
    async def names() -> Iterator[str]:
        await ask(desk(tmp_path / "answers"), Provider(), "a canary")
        return (str(path.relative_to(tmp_path)) for path in files(tmp_path))

    assert not any("canary" in name for name in asyncio.run(names()))
