"""The runner, one delivery at a time and in virtual time: verdicts, deadlines, calling off, and what it tells."""

import asyncio
import functools
from asyncio import sleep as time_passes  # virtual time, which takes none
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.typing import EventDict

from chassis.event_store import (
    EVENT_BYTES_MAX,
    History,
    HistoryDamaged,
    HistoryShort,
    LogFull,
    OutcomeUnknown,
    StoreUnavailable,
)
from chassis.memory_store import MemoryLog, MemoryStore
from chassis.runner import LOOK_AGAIN_S, SHORT_READS_MAX, UNREADABLE_S, Runner, Say
from chassis.stage import Attempt, GiveUp, Retry, Stage, Verdicts, WorkFailed
from contracts.commands import Record, RecordBlog, RecordSocialPost
from contracts.envelope import FromTheFuture, Recorded
from contracts.events import (
    AttemptFailed,
    BlogWritten,
    Event,
    SocialPostWritten,
    Usage,
    WorkClaimed,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRequested,
)
from contracts.platforms import Platform
from contracts.services import GATEWAY, ILLUSTRATOR, WRITER
from contracts.subjects import WorkflowKey
from contracts.works import Kind, Work
from tests.chassis.held import Held
from tests.contracts.given import drawn
from tests.simulation.virtual_time import run_virtually

KEY = WorkflowKey("local", "tea")
START = datetime(2026, 1, 1, tzinfo=UTC)
DEADLINE_S = 60.0
USAGE = Usage(provider="p", model="m", input_tokens=7)
SECRET = "sk-canary and the prompt"

Do = Callable[[Attempt], Awaitable[Record]]


class Busy(WorkFailed):
    """The model is busy."""


class Refused(WorkFailed):
    """The model refuses."""


VERDICTS: Verdicts = {Busy: Retry(timedelta(seconds=4), most=timedelta(seconds=20)), Refused: GiveUp(retryable=False)}


def now() -> datetime:
    return START + timedelta(seconds=asyncio.get_running_loop().time())


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an async test in virtual time, in which waiting costs nothing."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        run_virtually(test(*args, **kwargs))

    return run


class Scene:
    """The writer's stage over a log in memory, with a request for a blog post and posts for these platforms."""

    def __init__(self, do: Do, *, platforms: tuple[Platform, ...] = (Platform.X,)) -> None:
        self.log = MemoryLog(clock=now)
        self.store = MemoryStore(self.log, WRITER)
        stage = Stage[Do](WRITER, VERDICTS)
        for kind in (Kind.BLOG, Kind.SOCIAL):
            stage.does(kind)(_do)
        self.runner = Runner(
            stage, self.store, do, worker="writer-1", deadline_s=DEADLINE_S, streams=_no_streams, clock=now
        )
        self.put(GATEWAY, WorkflowRequested(topic="Tea", research=False, platforms=platforms))

    def put(self, service: str, event: Event) -> Recorded[Event]:
        return self.log.append(service, self.history, event, id=f"put-{self.history.revision + 1}")

    @property
    def history(self) -> History:
        return self.log.histories(KEY)[-1]

    @property
    def events(self) -> list[Event]:
        return [recorded.event for recorded in self.history.recorded]

    async def deliver(self, revision: int = 1) -> Held:
        """Runs one delivery of the event at this revision to its end."""
        held = Held(self.history.recorded[revision - 1])
        await self.runner.run(held)
        return held

    async def deliver_until_settled(self, revision: int = 1) -> None:
        """Delivers again after each nak, as the consumer does."""
        settled = await self.deliver(revision)
        if isinstance(delay := settled.said[-1], timedelta):
            await time_passes(delay.total_seconds())
            await self.deliver_until_settled(revision)


async def _do(attempt: Attempt, do: Do) -> Record:
    return await do(attempt)


def _no_streams(key: WorkflowKey, claimed: WorkClaimed) -> Say:
    async def say(text: str) -> None: ...

    return say


async def succeed(attempt: Attempt) -> Record:
    """Writes what was asked for, at once."""
    if attempt.work is Work.BLOG:
        return RecordBlog(title="Tea", markdown="Tea.", run=attempt.run, attempt=attempt.number, usage=USAGE)
    return RecordSocialPost(
        platform=attempt.work.platform, text="Tea.", length=4, run=attempt.run, attempt=attempt.number
    )


def failing(failure: Exception) -> Do:
    async def fail(attempt: Attempt) -> Record:
        raise failure

    return fail


async def hang(attempt: Attempt) -> Record:
    return await asyncio.get_running_loop().create_future()


class TestWhenAWorkSucceeds:
    @virtually
    async def test_claim_result_and_ack_follow_each_other(self) -> None:
        scene = Scene(succeed)
        held = await scene.deliver()
        _, claim, blog = scene.history.recorded
        assert isinstance(claim.event, WorkClaimed) and claim.event.worker == "writer-1"
        assert isinstance(blog.event, BlogWritten) and blog.event.usage == USAGE
        assert (claim.cause, blog.cause, held.said) == ("put-1", "put-1", ["ack"])

    @virtually
    async def test_redelivery_after_success_pays_nothing(self) -> None:
        scene = Scene(succeed)
        await scene.deliver()
        before = scene.history
        assert (await scene.deliver()).said == ["ack"] and scene.history == before

    @virtually
    async def test_message_that_is_held_already_is_left_to_its_holder(self) -> None:
        begun, may_end = asyncio.Event(), asyncio.Event()

        async def wait(attempt: Attempt) -> Record:
            begun.set()
            await may_end.wait()
            return await succeed(attempt)

        scene = Scene(wait)
        first = asyncio.create_task(scene.deliver())
        await begun.wait()
        assert (await scene.deliver()).said == []  # a server that was killed has forgotten whom it gave it
        may_end.set()
        assert (await first).said == ["ack"]
        assert [type(event) for event in scene.events[1:]] == [WorkClaimed, BlogWritten]

    @virtually
    async def test_works_of_one_delivery_run_side_by_side(self) -> None:
        together = asyncio.Barrier(3)

        async def meet(attempt: Attempt) -> Record:
            if attempt.work.kind is Kind.SOCIAL:
                async with asyncio.timeout(DEADLINE_S / 2):
                    await together.wait()  # opens only when all three are here
            return await succeed(attempt)

        scene = Scene(meet, platforms=(Platform.X, Platform.LINKEDIN, Platform.FACEBOOK))
        await scene.deliver()
        held = await scene.deliver(revision=3)
        assert sum(isinstance(event, SocialPostWritten) for event in scene.events) == 3
        assert held.said == ["ack"]

    @virtually
    async def test_last_artefact_completes_the_workflow(self) -> None:
        scene = Scene(succeed)
        await scene.deliver()
        scene.put(ILLUSTRATOR, drawn())
        await scene.deliver(revision=3)
        assert scene.events[-1] == WorkflowCompleted(run=1)

    @virtually
    async def test_long_work_keeps_saying_that_it_lives(self) -> None:
        async def take_long(attempt: Attempt) -> Record:
            await time_passes(30)
            return await succeed(attempt)

        held = await Scene(take_long).deliver()
        assert 29 <= held.signs_of_life <= 31


class TestWhenAWorkFails:
    @virtually
    async def test_retry_is_recorded_with_its_time(self) -> None:
        scene = Scene(failing(Busy(usage=USAGE)))
        held = await scene.deliver()
        failed = scene.events[-1]
        assert isinstance(failed, AttemptFailed)
        assert (failed.error.code, failed.error.message) == ("busy", "The model is busy.")
        assert (failed.retry_at, failed.cost_known, failed.usage) == (START + timedelta(seconds=4), True, USAGE)
        assert held.said == [timedelta(seconds=4)]

    @virtually
    async def test_delays_double_up_to_their_bound(self) -> None:
        scene = Scene(failing(Busy()))
        await scene.deliver_until_settled()
        claims = [recorded.recorded_at for recorded in scene.history.recorded if recorded.event.type == "work-claimed"]
        assert [round((claim - START).total_seconds()) for claim in claims] == [0, 4, 12, 28, 48]  # 4, 8, 16, 20

    @virtually
    async def test_fifth_failure_uses_the_attempts_up(self) -> None:
        scene = Scene(failing(Busy()))
        await scene.deliver_until_settled()
        failed = scene.events[-1]
        assert isinstance(failed, WorkflowFailed) and failed.attempt == 5
        assert failed.error.code == "attempts-used-up" and "The model is busy." in failed.error.message

    @virtually
    async def test_provider_that_asks_for_longer_is_obeyed(self) -> None:
        held = await Scene(failing(Busy(retry_after=timedelta(minutes=5)))).deliver()
        assert held.said == [timedelta(minutes=5)]

    @virtually
    async def test_nothing_is_claimed_before_the_retry_is_due(self) -> None:
        scene = Scene(failing(Busy()))
        await scene.deliver()
        before = scene.history
        await time_passes(1)
        held = await scene.deliver()
        assert scene.history == before and held.said == [timedelta(seconds=3)]

    @virtually
    async def test_refusal_gives_the_workflow_up(self) -> None:
        scene = Scene(failing(Refused("No.", usage=USAGE)))
        held = await scene.deliver()
        failed = scene.events[-1]
        assert isinstance(failed, WorkflowFailed) and failed.usage == USAGE
        assert (failed.error.code, failed.error.retryable, held.said) == ("refused", False, ["ack"])

    @virtually
    async def test_deadline_says_that_it_may_be_billed(self) -> None:
        scene = Scene(hang)
        await scene.deliver()
        failed = scene.events[-1]
        assert isinstance(failed, AttemptFailed) and failed.error.code == "deadline-passed"
        assert "within 60 s" in failed.error.message and "may have been billed" in failed.error.message
        assert not failed.cost_known and failed.retry_at == START + timedelta(seconds=DEADLINE_S + 2)

    @virtually
    async def test_bug_is_told_once_and_without_its_words(self, lines: list[EventDict]) -> None:
        scene = Scene(failing(ValueError(SECRET)))
        await scene.deliver()
        failed = scene.events[-1]
        assert isinstance(failed, WorkflowFailed) and not failed.cost_known
        assert (failed.error.code, failed.error.retryable) == ("unexpected", True)
        assert SECRET not in failed.model_dump_json() and SECRET not in repr(lines)
        assert named(lines, "unexpected")["work"] == Work.BLOG

    @virtually
    async def test_answer_that_breaks_a_rule_is_a_failure(self) -> None:
        async def cite_at_will(attempt: Attempt) -> Record:
            return RecordBlog(title="T", markdown="[9]", cited=(9,), run=1, attempt=attempt.number, usage=USAGE)

        scene = Scene(cite_at_will)
        held = await scene.deliver()
        failed = scene.events[-1]
        assert isinstance(failed, WorkflowFailed) and failed.error.code == "unexpected"
        assert "not given: [9]" in failed.error.message and failed.usage == USAGE
        assert held.said == ["ack"]

    @virtually
    async def test_answer_too_large_for_the_log_is_a_failure(self) -> None:
        async def write_a_library(attempt: Attempt) -> Record:
            return RecordBlog(title="T", markdown="x" * EVENT_BYTES_MAX, run=1, attempt=attempt.number, usage=USAGE)

        scene = Scene(write_a_library)
        await scene.deliver()
        failed = scene.events[-1]
        assert isinstance(failed, WorkflowFailed) and "log takes" in failed.error.message and failed.usage == USAGE

    @virtually
    async def test_answer_that_is_no_event_is_a_failure_paid_once(self, lines: list[EventDict]) -> None:
        calls: list[int] = []

        async def forget_the_title(attempt: Attempt) -> Record:
            calls.append(attempt.number)
            title: Any = [SECRET]
            return RecordBlog(title=title, markdown="Tea.", run=1, attempt=attempt.number, usage=USAGE)

        scene = Scene(forget_the_title)
        held = await scene.deliver()
        failed = scene.events[-1]
        assert isinstance(failed, WorkflowFailed) and failed.usage == USAGE
        assert (failed.error.code, failed.error.retryable) == ("unexpected", True)
        assert (calls, held.said) == ([1], ["ack"])
        assert SECRET not in failed.model_dump_json() and SECRET not in repr(lines)

    @virtually
    async def test_one_failure_leaves_its_neighbours_running(self) -> None:
        async def fail_on_x(attempt: Attempt) -> Record:
            if attempt.work is Work.SOCIAL_X:
                raise Busy
            if attempt.work.kind is Kind.SOCIAL:
                await time_passes(1)
            return await succeed(attempt)

        scene = Scene(fail_on_x, platforms=(Platform.X, Platform.LINKEDIN))
        await scene.deliver()
        held = await scene.deliver(revision=3)
        assert scene.history.state.artefact(Work.SOCIAL_LINKEDIN)
        assert held.said == [timedelta(seconds=3)]  # of the four seconds, one has passed meanwhile


class TestWhenARunIsCancelled:
    @virtually
    async def test_calling_off_stops_the_call_in_that_moment(self) -> None:
        stopped_at = asyncio.get_running_loop().create_future()
        started = asyncio.Event()

        async def notice(attempt: Attempt) -> Record:
            started.set()
            try:
                return await hang(attempt)
            finally:
                stopped_at.set_result(now())

        scene = Scene(notice)
        delivering = asyncio.create_task(scene.deliver())
        await started.wait()
        scene.put(GATEWAY, WorkflowCancelled(run=1))
        scene.runner.call_off(KEY, 1)
        held = await delivering
        assert await stopped_at == now() == START
        assert scene.events[-1] == WorkflowCancelled(run=1) and held.said == ["ack"]

    @virtually
    async def test_lost_message_is_made_good_by_reading(self) -> None:
        scene = Scene(hang)
        delivering = asyncio.create_task(scene.deliver())
        await time_passes(1)
        scene.put(GATEWAY, WorkflowCancelled(run=1))
        held = await delivering
        assert now() == START + timedelta(seconds=LOOK_AGAIN_S) and held.said == ["ack"]
        assert len(scene.events) == 3

    @virtually
    async def test_other_workflows_and_runs_go_on(self) -> None:
        async def take_a_while(attempt: Attempt) -> Record:
            await time_passes(2)
            return await succeed(attempt)

        scene = Scene(take_a_while)
        delivering = asyncio.create_task(scene.deliver())
        await time_passes(1)
        scene.runner.call_off(KEY, 2)
        scene.runner.call_off(WorkflowKey("local", "coffee"), 1)
        await delivering
        assert isinstance(scene.events[-1], BlogWritten)

    @virtually
    async def test_nothing_is_claimed_in_a_closed_run(self) -> None:
        scene = Scene(succeed)
        scene.put(GATEWAY, WorkflowCancelled(run=1))
        assert (await scene.deliver()).said == ["ack"] and len(scene.events) == 2


class Flaky(MemoryStore):
    """A store whose next appends end badly, after or before the event was stored."""

    def __init__(self, log: MemoryLog, *, ends: list[tuple[Exception, bool]]) -> None:
        super().__init__(log, WRITER)
        self.ends = ends

    async def append(self, history: History, event: Event, *, id: str, cause: str | None = None) -> Recorded[Event]:
        end, is_stored = self.ends.pop(0) if self.ends else (None, True)
        recorded = await super().append(history, event, id=id, cause=cause) if is_stored else None
        if end or not recorded:
            raise end or AssertionError
        return recorded


class TestWhenTheLogFails:
    @pytest.mark.parametrize(
        ("end", "is_stored"),
        [
            (OutcomeUnknown(), True),
            (OutcomeUnknown(), False),
            (StoreUnavailable(), False),
            (LogFull(), False),
        ],
    )
    @pytest.mark.parametrize("which", ["claim", "result"])
    @virtually
    async def test_every_append_is_tried_until_it_stands(self, end: Exception, is_stored: bool, which: str) -> None:
        calls: list[int] = []

        async def count(attempt: Attempt) -> Record:
            calls.append(attempt.number)
            if which == "result":
                flaky.ends += [(end, is_stored)]
            return await succeed(attempt)

        scene = Scene(count)
        flaky = Flaky(scene.log, ends=[(end, is_stored)] if which == "claim" else [])
        scene.runner._store = flaky  # pyright: ignore[reportPrivateUsage]
        held = await scene.deliver()
        assert [event.type for event in scene.events] == ["workflow-requested", "work-claimed", "blog-written"]
        assert (calls, held.said) == ([1], ["ack"])


class Unread(MemoryStore):
    """A store whose reads end like this between two moments, in seconds; `tries` counts them."""

    def __init__(self, log: MemoryLog, end: Exception, *, begins: float = 0, lasts: float = float("inf")) -> None:
        super().__init__(log, WRITER)
        self.end, self.begins, self.ends = end, begins, begins + lasts
        self.tries = 0

    async def read(self, key: WorkflowKey, *, reach: int = 0) -> History:
        if self.begins <= asyncio.get_running_loop().time() < self.ends:
            self.tries += 1
            raise self.end
        return await super().read(key, reach=reach)


def unread(scene: Scene, end: Exception, **times: float) -> Unread:
    """Has the scene's reads end like this."""
    scene.runner._store = store = Unread(scene.log, end, **times)  # pyright: ignore[reportPrivateUsage]
    return store


class TestWhenTheHistoryCannotBeRead:
    @virtually
    async def test_paid_call_goes_on_and_its_result_is_kept(self) -> None:
        calls: list[int] = []

        async def take_long(attempt: Attempt) -> Record:
            calls.append(attempt.number)
            await time_passes(30)
            return await succeed(attempt)

        scene = Scene(take_long)
        unread(scene, FromTheFuture(), begins=LOOK_AGAIN_S / 2, lasts=40)
        held = Held(scene.history.recorded[0])
        with pytest.raises(FromTheFuture):
            await scene.runner.run(held)
        assert isinstance(scene.events[-1], BlogWritten) and scene.events[-1].usage == USAGE
        assert (calls, held.said) == ([1], [])  # unsettled: it comes again

    @virtually
    async def test_result_waits_no_longer_than_it_may(self) -> None:
        async def take_long(attempt: Attempt) -> Record:
            await time_passes(30)
            return await succeed(attempt)

        scene = Scene(take_long)
        unread(scene, FromTheFuture(), begins=1)
        with pytest.raises(FromTheFuture):
            await scene.deliver()
        assert UNREADABLE_S <= (now() - START).total_seconds() - 30 < UNREADABLE_S + 5

    @virtually
    async def test_siblings_end_before_it_is_told(self) -> None:
        async def take_turns(attempt: Attempt) -> Record:
            await time_passes({Work.SOCIAL_X: 20, Work.SOCIAL_LINKEDIN: 30}.get(attempt.work, 0))
            return await succeed(attempt)

        scene = Scene(take_turns, platforms=(Platform.X, Platform.LINKEDIN))
        await scene.deliver()
        unread(scene, FromTheFuture(), begins=LOOK_AGAIN_S / 2, lasts=LOOK_AGAIN_S)
        with pytest.raises(FromTheFuture):
            await scene.deliver(revision=3)
        assert scene.history.state.artefact(Work.SOCIAL_X) and scene.history.state.artefact(Work.SOCIAL_LINKEDIN)
        assert now() == START + timedelta(seconds=30)

    @virtually
    async def test_history_that_stays_short_is_damaged(self) -> None:
        scene = Scene(succeed)
        store = unread(scene, HistoryShort("it lacks revision 1"))
        held = Held(scene.history.recorded[0])
        with pytest.raises(HistoryDamaged, match="lacks revision 1"):
            await scene.runner.run(held)
        assert (store.tries, held.said, len(scene.events)) == (SHORT_READS_MAX, [], 1)

    @virtually
    async def test_history_that_is_short_for_a_while_is_awaited(self) -> None:
        scene = Scene(succeed)
        unread(scene, HistoryShort(), lasts=2)
        assert (await scene.deliver()).said == ["ack"]

    @virtually
    async def test_silent_log_is_told_once_not_for_each_try(self, lines: list[EventDict]) -> None:
        scene = Scene(succeed)
        store = unread(scene, StoreUnavailable("no answer"), lasts=60)
        await scene.deliver()
        assert store.tries > 20 and named(lines, "waiting for the log")["why"] == "StoreUnavailable: no answer"


class TestWhatIsLogged:
    @virtually
    async def test_delivery_is_one_line_with_its_numbers(self, lines: list[EventDict]) -> None:
        await Scene(succeed).deliver()
        (line,) = lines
        assert line.pop("elapsed_ms") >= 0
        assert line == {
            "event": "delivery",
            "log_level": "info",
            "stage": WRITER,
            "workflow_id": KEY.workflow_id,
            "event_type": "workflow-requested",
            "attempts": [1],
            "verdict": "ack",
        }

    @virtually
    async def test_failure_is_told_by_its_code_alone(self, lines: list[EventDict]) -> None:
        await Scene(failing(Busy(SECRET))).deliver()
        line = named(lines, "attempt failed")
        assert (line["code"], line["attempt"], line["retry_in_s"]) == ("busy", 1, 4.0)
        assert SECRET not in repr(lines) and named(lines, "delivery")["verdict"] == "nak"


def named(lines: list[EventDict], event: str) -> EventDict:
    (line,) = [line for line in lines if line["event"] == event]
    return line
