"""Never pay twice: an answer that was received is used by the next attempt, whatever became of the one that paid."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chassis.model import Model
from chassis.object_store import ObjectStoreUnavailable
from chassis.settings import Settings
from chassis.stage import WorkFailed
from contracts.events import AttemptFailed, BlogWritten, Event, IllustrationDrawn, ResearchCompleted, WorkflowFailed
from local.standin.control import StandIn
from services.illustrator.stage import Tools as IllustratorTools
from services.illustrator.stage import stage as illustrator
from services.research.scouts import OpenAIScout
from services.research.stage import Tools as ResearchTools
from services.research.stage import stage as research
from services.writer.stage import Tools as WriterTools
from services.writer.stage import stage as writer
from tests.services.attempts import blogged, requested
from tests.services.workshop import Workshop
from tests.waiting import until


class Gallery:
    """Keeps pictures, fails, or never comes back, as it is told."""

    def __init__(self) -> None:
        self.fails: WorkFailed | None = None
        self.hangs, self.reached = False, False

    async def check(self) -> None: ...

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        self.reached = True
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        if self.fails:
            raise self.fails

    async def get(self, key: str) -> None:
        return None


@pytest.fixture
def gallery() -> Gallery:
    return Gallery()


@pytest.fixture
def small(settings: Settings) -> Settings:
    return settings.model_copy(update={"image_size": "64x64", "provider": "openai"})


@pytest.fixture
def easel(small: Settings, gallery: Gallery, tmp_path: Path) -> Workshop[IllustratorTools]:
    """The illustrator, with a blog post to illustrate."""
    return Workshop(
        illustrator, lambda: IllustratorTools(Model(small), gallery), requested(), blogged(), folder=tmp_path / "kept"
    )


async def calls(standin: StandIn) -> Counter[str]:
    return Counter(call.kind for call in await standin.calls())


def sum_of(workshop: Workshop[Any], what: str) -> int:
    return sum(getattr(usage, what) for usage in workshop.told)


class TestPicture:
    async def test_that_failed_does_not_pay_for_its_scene_again(
        self, easel: Workshop[IllustratorTools], standin: StandIn
    ) -> None:
        await standin.rule(when={"kind": "image"}, do={"status": 500}, times=2)
        for _ in range(3):
            await easel.deliver()
        assert isinstance(easel.made, IllustrationDrawn)
        assert await calls(standin) == {"scene": 1, "image": 3}

    async def test_that_failed_tells_its_scene_once(self, easel: Workshop[IllustratorTools], standin: StandIn) -> None:
        await standin.rule(when={"kind": "image"}, do={"status": 500}, times=1)
        await easel.deliver()
        await easel.deliver()
        scene, picture = easel.told
        assert (scene.calls, scene.images, picture.calls, picture.images) == (1, 0, 1, 1)
        assert (scene.cost_usd or 0) > 0 and (picture.cost_usd or 0) > 0

    async def test_that_the_store_did_not_take_is_not_drawn_again(
        self, easel: Workshop[IllustratorTools], gallery: Gallery, standin: StandIn
    ) -> None:
        gallery.fails = ObjectStoreUnavailable()
        await easel.deliver()
        assert easel.failed.usage and easel.failed.usage.calls == 2
        gallery.fails = None
        await easel.deliver()
        assert easel.made.usage and (easel.made.usage.calls, easel.made.usage.cost_usd) == (0, 0.0)
        assert await calls(standin) == {"scene": 1, "image": 1} and sum_of(easel, "images") == 1

    async def test_whose_process_died_is_not_drawn_again(
        self, easel: Workshop[IllustratorTools], gallery: Gallery, standin: StandIn
    ) -> None:
        gallery.hangs = True
        dying = asyncio.create_task(easel.deliver())

        async def is_drawn() -> bool:
            return gallery.reached

        await until(is_drawn, "the picture is on its way to the store")
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        gallery.hangs = False
        await easel.deliver()
        assert easel.made.attempt == 2 and sum_of(easel, "calls") == 2  # nobody had told what they used
        assert await calls(standin) == {"scene": 1, "image": 1}

    async def test_given_up_is_paid_for_from_its_scene_on_after_a_resume(
        self, easel: Workshop[IllustratorTools], standin: StandIn
    ) -> None:
        await standin.rule(when={"kind": "image"}, do={"status": 429, "code": "insufficient_quota"}, times=1)
        await easel.deliver()
        assert isinstance(easel.events[-1], WorkflowFailed)
        easel.resume()
        await easel.deliver()
        assert easel.made.run == 2 and await calls(standin) == {"scene": 1, "image": 2}
        assert sum_of(easel, "calls") == 2

    async def test_damaged_is_drawn_again_from_the_same_scene(
        self, easel: Workshop[IllustratorTools], standin: StandIn
    ) -> None:
        await standin.rule(when={"kind": "image"}, do={"image_base64": "R0lGODlhAQABAAAAACw="}, times=1)
        await easel.deliver()
        assert easel.failed.error.code == "answer-malformed"
        await easel.deliver()
        assert await calls(standin) == {"scene": 1, "image": 2} and sum_of(easel, "images") == 2

    async def test_refused_is_tried_with_another_scene_after_a_resume(
        self, easel: Workshop[IllustratorTools], standin: StandIn
    ) -> None:
        await standin.rule(when={"kind": "image"}, do={"status": 400, "code": "moderation_blocked"}, times=1)
        await easel.deliver()
        easel.resume()
        await easel.deliver()
        assert await calls(standin) == {"scene": 2, "image": 2}

    async def test_whose_time_ran_out_tells_what_its_scene_used(
        self, easel: Workshop[IllustratorTools], standin: StandIn
    ) -> None:
        await standin.rule(when={"kind": "image"}, do={"hang": True}, times=1)

        async def hangs() -> bool:
            return any(call.outcome == "hung" for call in await standin.calls())

        await easel.deliver_until_the_deadline(hangs)
        failed = easel.failed
        assert (failed.error.code, failed.cost_known) == ("deadline-passed", False)
        assert failed.usage and (failed.usage.calls, failed.usage.images) == (1, 0)
        await easel.deliver()
        assert await calls(standin) == {"scene": 1, "image": 2} and sum_of(easel, "calls") == 2

    async def test_recorded_leaves_nothing_behind(self, easel: Workshop[IllustratorTools]) -> None:
        await easel.deliver()
        assert isinstance(easel.made, IllustrationDrawn) and easel.kept == []

    async def test_unkept_is_drawn_as_well(self, small: Settings, gallery: Gallery, tmp_path: Path) -> None:
        (tmp_path / "kept").write_text("no folder")
        unkept = Workshop(
            illustrator,
            lambda: IllustratorTools(Model(small), gallery),
            requested(),
            blogged(),
            folder=tmp_path / "kept",
        )
        await unkept.deliver()
        assert isinstance(unkept.made, IllustrationDrawn)


Make = Callable[[], Workshop[Any]]


@pytest.fixture(params=["research", "blog"])
def text(request: pytest.FixtureRequest, small: Settings, tmp_path: Path) -> Workshop[Any]:
    """A stage that writes a text, with a request before it."""
    folder = tmp_path / "kept"
    if request.param == "research":
        made: Make = lambda: Workshop(  # noqa: E731
            research, lambda: ResearchTools(OpenAIScout(Model(small))), requested(research=True), folder=folder
        )
    else:
        made = lambda: Workshop(writer, lambda: WriterTools(Model(small)), requested(), folder=folder)  # noqa: E731
    return made()


class Unwritable:
    """A log that takes claims and nothing else, for as long as it is told so."""

    def __init__(self, workshop: Workshop[Any]) -> None:
        self._append, self.is_reached, self.is_mended = workshop.log.append, False, False
        workshop.log.append = self.append

    def append(self, service: str, history: Any, event: Event, **told: Any) -> Any:
        if isinstance(event, ResearchCompleted | BlogWritten) and not self.is_mended:
            self.is_reached = True
            raise asyncio.CancelledError  # the process ends here
        return self._append(service, history, event, **told)


class TestText:
    async def test_whose_process_died_before_the_append_is_not_written_again(
        self, text: Workshop[Any], standin: StandIn
    ) -> None:
        log = Unwritable(text)
        await asyncio.gather(asyncio.create_task(text.deliver()), return_exceptions=True)
        assert log.is_reached and len(text.kept) == 1
        log.is_mended = True
        before = len(text.heard)
        await text.deliver()
        assert text.made.attempt == 2 and len(await standin.calls()) == 1
        assert len(text.heard) == before + 1 and text.heard[-1] == "".join(text.heard[:before]).rstrip()
        assert text.kept == [] and sum_of(text, "calls") == 1

    async def test_malformed_is_written_anew(self, text: Workshop[Any], standin: StandIn) -> None:
        await standin.rule(do={"empty": True}, times=1)
        await text.deliver()
        assert isinstance(text.failed, AttemptFailed) and text.kept == []
        await text.deliver()
        assert text.made and len(await standin.calls()) == 2


async def test_post_without_a_title_is_written_anew(small: Settings, standin: StandIn, tmp_path: Path) -> None:
    blog = Workshop(writer, lambda: WriterTools(Model(small)), requested(), folder=tmp_path / "kept")
    await standin.rule(do={"text": "# "}, times=1)
    await blog.deliver()
    assert blog.failed.error.code == "answer-malformed" and blog.kept == []
    await blog.deliver()
    assert isinstance(blog.made, BlogWritten) and len(await standin.calls()) == 2
    assert sum_of(blog, "calls") == 2
