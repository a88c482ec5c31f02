"""Illustrator: when the blog post is written, draw a picture for it and put it into the object store."""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from chassis.model import MODEL_VERDICTS, AnswerMalformed, Drawn, Model, Say, Written, having_used, total
from chassis.object_store import (
    ObjectStore,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
    S3Store,
    picture_key,
    picture_pointer,
)
from chassis.prompts import as_data, brief_lines, load_prompt, one_line
from chassis.settings import Settings
from chassis.stage import Attempt, GiveUp, Retry, Stage
from contracts.commands import RecordIllustration
from contracts.services import ILLUSTRATOR
from contracts.works import Kind
from services.illustrator.pictures import read_picture

SCENE, PICTURE = load_prompt(__file__, "scene"), load_prompt(__file__, "picture")

POST_LENGTH_MAX = 4_000
"""Characters of the blog post that the scene is drawn from: its beginning says what it is about."""

SCENE_LENGTH_MAX, TOPIC_LENGTH_MAX = 600, 300


class Painter(Protocol):
    """Describes scenes and draws them. Raises WorkFailed."""

    async def write(self, *, instructions: str, input: str, say: Say | None = None) -> Written:
        """A text as instructed."""
        ...

    async def draw(self, prompt: str) -> Drawn:
        """A picture of what the prompt says."""
        ...


@dataclass(frozen=True)
class Tools:
    """What the illustrator works with."""

    painter: Painter
    gallery: ObjectStore


stage = Stage[Tools](
    ILLUSTRATOR,
    verdicts={
        **MODEL_VERDICTS,
        ObjectStoreUnavailable: Retry(timedelta(seconds=10)),
        ObjectStoreRefused: GiveUp(),
    },
)


@stage.does(Kind.ILLUSTRATION, within=timedelta(minutes=5))  # a scene, a picture, and a minute of uploading
async def draw_illustration(attempt: Attempt, tools: Tools) -> RecordIllustration:
    """Draws the scene that the blog post suggests; the scene's description is the alternative text as well."""
    await tools.gallery.check()  # before anything is paid for
    scene = await _describe_scene(attempt, tools.painter)
    topic = one_line(attempt.state.asked.topic)[:TOPIC_LENGTH_MAX]
    alt_text = one_line(scene.text)[:SCENE_LENGTH_MAX]
    prompt = PICTURE.substitute(topic=topic, scene=alt_text)
    with having_used(scene.usage):
        drawn = await tools.painter.draw(prompt)
    usage = total(drawn.usage, scene.usage)
    with having_used(usage):
        picture = await asyncio.to_thread(read_picture, drawn.data)
        sha256 = hashlib.sha256(drawn.data).hexdigest()
        key = picture_key(attempt.key, sha256, picture.ending)
        await tools.gallery.put(key, drawn.data, picture.content_type)
        await tools.gallery.put(picture_pointer(attempt.key.owner, sha256), key.encode(), "text/plain")
    return RecordIllustration(
        run=attempt.run,
        attempt=attempt.number,
        key=key,
        sha256=sha256,
        bytes=len(drawn.data),
        width=picture.width,
        height=picture.height,
        content_type=picture.content_type,
        prompt=prompt,
        alt_text=alt_text,
        usage=usage,
    )


async def _describe_scene(attempt: Attempt, painter: Painter) -> Written:
    blog = attempt.state.blog
    if blog is None:
        raise AnswerMalformed("There is no blog post to illustrate.")
    post = as_data("blog-post", blog.markdown[:POST_LENGTH_MAX])
    return await painter.write(instructions=SCENE.template, input=f"{brief_lines(attempt.state.asked)}\n{post}")


def make_tools(settings: Settings) -> Tools:
    """The tools that these settings name."""
    return Tools(Model(settings), S3Store(settings))
