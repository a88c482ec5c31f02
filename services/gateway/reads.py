"""The reads: what was asked for and what was made, from the read tables in Postgres."""

import re
from collections import Counter
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field

from chassis.object_store import picture_pointer
from contracts.platforms import Platform
from contracts.subjects import TOKEN
from services.gateway.desk import OWNER
from services.gateway.library import Read
from services.gateway.pages import Asked, PageAsked, cursor_at, never_null
from services.gateway.parts import Needed, Parts
from services.gateway.problems import (
    BAD_REQUEST,
    NAME_LENGTH_MAX,
    PICTURES_UNAVAILABLE,
    PROJECTION_BEHIND,
    READ_TABLES_UNAVAILABLE,
    UNKNOWN_BLOG_POST,
    UNKNOWN_IMAGE,
    UNKNOWN_SOCIAL_MEDIA_POST,
    UNKNOWN_WORKFLOW,
    Kind,
    ProblemFound,
    answers,
)
from services.gateway.shapes import (
    BlogPost,
    BlogPostPage,
    Image,
    ImagePage,
    ParkedPage,
    QuarantinePage,
    SocialMediaPost,
    SocialMediaPostPage,
    Sources,
    Workflow,
    WorkflowPage,
    excerpt,
)

SHA256 = re.compile("[0-9a-f]{64}")
ID_LENGTH_MAX = 200
"""Of what stands in a path. No id is that long: what is longer is refused without being looked for."""

QUESTION_LENGTH_MAX = 200


# ---------------------------------------------------------------- what may be asked

WorkflowId = Annotated[
    str,
    Path(max_length=ID_LENGTH_MAX, description="The workflow's id.", examples=["01a20262-4036-74ac-b832-5ff8bc7b6bef"]),
]
ArtefactId = Annotated[
    str,
    Path(
        max_length=ID_LENGTH_MAX,
        description="The id of the event that brought it.",
        examples=["01a20262-7c11-7d52-9a7e-0f3c86e2b1d4"],
    ),
]
Token = Annotated[str, Field(pattern=f"^{TOKEN.pattern}$")]
Question = Annotated[str, Field(min_length=1, max_length=QUESTION_LENGTH_MAX)]


class WorkflowsAsked(PageAsked):
    """What workflows may be asked for."""

    status: Annotated[
        Literal["open", "completed", "failed", "cancelled"] | None,
        Field(description="Only workflows that stand so.", examples=["completed"], json_schema_extra=never_null),
    ] = None
    q: Annotated[
        Question | None,
        Field(
            description="Only workflows in whose topic or title each of these words begins a word. "
            "Punctuation means nothing.",
            examples=["history of tea"],
            json_schema_extra=never_null,
        ),
    ] = None


class ArtefactsAsked(PageAsked):
    """What artefacts may be asked for."""

    workflow_id: Annotated[
        Token | None,
        Field(
            description="Only what this workflow made.",
            examples=["01a20262-4036-74ac-b832-5ff8bc7b6bef"],
            json_schema_extra=never_null,
        ),
    ] = None


class SocialMediaPostsAsked(ArtefactsAsked):
    """What posts may be asked for."""

    platform: Annotated[
        Platform | None,
        Field(description="Only posts for this platform.", examples=["linkedin"], json_schema_extra=never_null),
    ] = None


class ParkedAsked(PageAsked):
    """What parked work may be asked for."""

    kind: Annotated[
        Literal["failed", "held"] | None,
        Field(description="Only what is parked so.", examples=["failed"], json_schema_extra=never_null),
    ] = None


def each_once(request: Request) -> None:
    """Refuses a parameter that is given twice: only one of its values would count, and nobody said which."""
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if times > 1:
            raise ProblemFound(BAD_REQUEST, f"{name[:NAME_LENGTH_MAX]}: this parameter is given {times} times")


AWAY = (READ_TABLES_UNAVAILABLE, PROJECTION_BEHIND)
A_PAGE = "A page, which may be empty"

router = APIRouter(dependencies=[Depends(each_once)])


# ---------------------------------------------------------------- workflows


@router.get("/workflows", tags=["Workflows"], response_description=A_PAGE, responses=answers(BAD_REQUEST, *AWAY))
async def list_workflows(asked: Annotated[WorkflowsAsked, Query()], parts: Needed) -> WorkflowPage:
    """Workflows, the newest request first; by status, or by the words of topic and title."""
    read = await parts.library.workflows(
        before=asked.before,
        limit=asked.limit + 1,
        status=asked.status,
        words=asked.q,
        min_position=asked.min_position,
    )
    return WorkflowPage.model_validate(_page(read, asked))


@router.get(
    "/workflows/{workflow_id}",
    tags=["Workflows"],
    response_description="The workflow",
    responses=answers(UNKNOWN_WORKFLOW, BAD_REQUEST, *AWAY),
)
async def read_workflow(workflow_id: WorkflowId, asked: Annotated[Asked, Query()], parts: Needed) -> Workflow:
    """One workflow: what was asked for, how each of its works went, and all that was made."""
    _refuse_what_is_no_id(workflow_id, UNKNOWN_WORKFLOW)
    read = await parts.library.workflow(workflow_id, min_position=asked.min_position)
    if read.found is None:
        raise ProblemFound(UNKNOWN_WORKFLOW, _why_unknown(read))
    return Workflow.model_validate({**read.found, "held": read.held, "tables_position": read.position})


@router.get(
    "/workflows/{workflow_id}/sources",
    tags=["Workflows"],
    response_description="The sources, which may be none",
    responses=answers(UNKNOWN_WORKFLOW, BAD_REQUEST, *AWAY),
)
async def read_sources(workflow_id: WorkflowId, asked: Annotated[Asked, Query()], parts: Needed) -> Sources:
    """The pages that research found for a workflow, under the numbers by which its texts cite them."""
    _refuse_what_is_no_id(workflow_id, UNKNOWN_WORKFLOW)
    read = await parts.library.sources(workflow_id, min_position=asked.min_position)
    return Sources.model_validate({**_found(read, UNKNOWN_WORKFLOW), "position": read.position})


def _why_unknown(read: Read) -> str:
    if read.held:
        return f"The read tables hold this workflow back from its first event on: {read.held['error']}."
    return f"There is no such workflow in the read tables, which contain the log up to position {read.position}."


# ---------------------------------------------------------------- artefacts


@router.get("/blog-posts", tags=["Blog posts"], response_description=A_PAGE, responses=answers(BAD_REQUEST, *AWAY))
async def list_blog_posts(asked: Annotated[ArtefactsAsked, Query()], parts: Needed) -> BlogPostPage:
    """Blog posts, newest first, each with the beginning of its text."""
    read = await parts.library.blog_posts(
        before=asked.before, limit=asked.limit + 1, workflow_id=asked.workflow_id, min_position=asked.min_position
    )
    for row in read.found:
        row["excerpt"] = excerpt(row["beginning"])
    return BlogPostPage.model_validate(_page(read, asked))


@router.get(
    "/blog-posts/{blog_post_id}",
    tags=["Blog posts"],
    response_description="The blog post",
    responses=answers(UNKNOWN_BLOG_POST, BAD_REQUEST, *AWAY),
)
async def read_blog_post(blog_post_id: ArtefactId, asked: Annotated[Asked, Query()], parts: Needed) -> BlogPost:
    """One blog post, with the sources that it cites."""
    _refuse_what_is_no_id(blog_post_id, UNKNOWN_BLOG_POST)
    read = await parts.library.blog_post(blog_post_id, min_position=asked.min_position)
    return BlogPost.model_validate(_found(read, UNKNOWN_BLOG_POST))


@router.get(
    "/social-media-posts",
    tags=["Social media posts"],
    response_description=A_PAGE,
    responses=answers(BAD_REQUEST, *AWAY),
)
async def list_social_media_posts(
    asked: Annotated[SocialMediaPostsAsked, Query()], parts: Needed
) -> SocialMediaPostPage:
    """Posts for social platforms, newest first."""
    read = await parts.library.social_media_posts(
        before=asked.before,
        limit=asked.limit + 1,
        workflow_id=asked.workflow_id,
        platform=asked.platform,
        min_position=asked.min_position,
    )
    return SocialMediaPostPage.model_validate(_page(read, asked))


@router.get(
    "/social-media-posts/{social_media_post_id}",
    tags=["Social media posts"],
    response_description="The post",
    responses=answers(UNKNOWN_SOCIAL_MEDIA_POST, BAD_REQUEST, *AWAY),
)
async def read_social_media_post(
    social_media_post_id: ArtefactId, asked: Annotated[Asked, Query()], parts: Needed
) -> SocialMediaPost:
    """One post for a social platform."""
    _refuse_what_is_no_id(social_media_post_id, UNKNOWN_SOCIAL_MEDIA_POST)
    read = await parts.library.social_media_post(social_media_post_id, min_position=asked.min_position)
    return SocialMediaPost.model_validate(_found(read, UNKNOWN_SOCIAL_MEDIA_POST))


@router.get("/images", tags=["Images"], response_description=A_PAGE, responses=answers(BAD_REQUEST, *AWAY))
async def list_images(asked: Annotated[ArtefactsAsked, Query()], parts: Needed) -> ImagePage:
    """Descriptions of images, newest first. `picture` says where each picture itself is served."""
    read = await parts.library.images(
        before=asked.before, limit=asked.limit + 1, workflow_id=asked.workflow_id, min_position=asked.min_position
    )
    return ImagePage.model_validate(_page(read, asked))


_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The picture, or the description of an image",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("image/png", "image/jpeg", "image/webp")
        },
    }
}


@router.get(
    "/images/{image_id}",
    tags=["Images"],
    response_model=Image,
    responses=_PICTURE | answers(UNKNOWN_IMAGE, BAD_REQUEST, *AWAY, PICTURES_UNAVAILABLE),
)
async def read_image(
    image_id: Annotated[
        str,
        Path(
            max_length=ID_LENGTH_MAX,
            description="The hash of a picture, in 64 hex digits, or the id of the event that brought an image.",
            examples=["01a20262-7c11-7d52-9a7e-0f3c86e2b1d4"],
        ),
    ],
    asked: Annotated[Asked, Query()],
    parts: Needed,
) -> Image | Response:
    """By the hash of its bytes the picture itself, which a browser may keep for good; by its id the description."""
    if SHA256.fullmatch(image_id):
        return await _picture(image_id, parts)
    _refuse_what_is_no_id(image_id, UNKNOWN_IMAGE)
    read = await parts.library.image(image_id, min_position=asked.min_position)
    return Image.model_validate(_found(read, UNKNOWN_IMAGE))


async def _picture(sha256: str, parts: Parts) -> Response:
    """The picture, from the object store alone: it is served without the read tables as well."""
    pointer = await parts.gallery.get(picture_pointer(OWNER, sha256))
    picture = await parts.gallery.get(pointer.data.decode()) if pointer else None
    if picture is None:
        raise ProblemFound(UNKNOWN_IMAGE)
    # The bytes behind a hash never change.
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "ETag": f'"{sha256}"'}
    return Response(picture.data, media_type=picture.content_type, headers=headers)


# ---------------------------------------------------------------- what cannot go on


@router.get("/quarantine", tags=["Quarantine"], response_description=A_PAGE, responses=answers(BAD_REQUEST, *AWAY))
async def list_quarantine(asked: Annotated[PageAsked, Query()], parts: Needed) -> QuarantinePage:
    """Workflows that the read tables hold back, because one of their events cannot be read or applied; latest first."""
    read = await parts.library.quarantine(before=asked.before, limit=asked.limit + 1, min_position=asked.min_position)
    return QuarantinePage.model_validate(_page(read, asked))


@router.get("/parked", tags=["Parked work"], response_description=A_PAGE, responses=answers(BAD_REQUEST, *AWAY))
async def list_parked(asked: Annotated[ParkedAsked, Query()], parts: Needed) -> ParkedPage:
    """Workflows that cannot go on until somebody has mended something, each with its reason; newest first.

    Failed ones for which a resume makes sense, and those that the read tables hold back. `POST
    /workflows/{workflow_id}/resume` redrives a failed one, and pays for nothing twice; `POST
    /workflows/{workflow_id}/refold` folds a held one again.
    """
    read = await parts.library.parked(
        before=asked.before, limit=asked.limit + 1, kind=asked.kind, min_position=asked.min_position
    )
    return ParkedPage.model_validate(_page(read, asked))


# ---------------------------------------------------------------- what they share


def _page(read: Read, asked: PageAsked) -> dict[str, Any]:
    """A page of the rows that were read. One more than it has room for was asked for: is there another page?"""
    items = read.found[: asked.limit]
    more = len(read.found) > asked.limit
    return {"items": items, "next": cursor_at(items[-1]["at"]) if more else None, "position": read.position}


def _found(read: Read, unknown: Kind) -> dict[str, Any]:
    if read.found is None:
        raise ProblemFound(unknown)
    return read.found


def _refuse_what_is_no_id(text: str, unknown: Kind) -> None:
    """What cannot be an id cannot be found either; and a zero byte in it would be an error to Postgres."""
    if not TOKEN.fullmatch(text):
        raise ProblemFound(unknown)
