"""Read table `blog_posts`: every blog post that was written."""

from dataclasses import dataclass
from datetime import datetime

from contracts.envelope import Recorded
from contracts.events import BlogWritten
from services.projector.table import Json, Table
from services.projector.tables.artefacts import usage_of


@dataclass(frozen=True, kw_only=True)
class BlogPostRow:
    """One blog post."""

    id: str
    owner: str
    workflow_id: str
    edition: int
    position: int
    title: str
    markdown: str
    cited: Json
    usage: Json
    written_at: datetime


blog_posts = Table("blog_posts", BlogPostRow, key=("owner", "workflow_id", "edition"))


@blog_posts.on(BlogWritten)
def keep_post(recorded: Recorded[BlogWritten]) -> tuple[BlogPostRow]:
    """The post, as it was written."""
    post = recorded.event
    return (
        BlogPostRow(
            id=recorded.id,
            owner=recorded.key.owner,
            workflow_id=recorded.key.workflow_id,
            edition=post.edition,
            position=recorded.position,
            title=post.title,
            markdown=post.markdown,
            cited=list(post.cited),
            usage=usage_of(post),
            written_at=recorded.recorded_at,
        ),
    )
