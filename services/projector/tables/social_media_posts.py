"""Read table `social_media_posts`: every post that was written for a platform."""

from dataclasses import dataclass
from datetime import datetime

from contracts.envelope import Recorded
from contracts.events import SocialPostWritten
from services.projector.table import Json, Table
from services.projector.tables.artefacts import usage_of


@dataclass(frozen=True, kw_only=True)
class SocialMediaPostRow:
    """One post for a platform."""

    id: str
    owner: str
    workflow_id: str
    platform: str
    edition: int
    position: int
    text: str
    length: int
    usage: Json
    written_at: datetime


social_media_posts = Table(
    "social_media_posts", SocialMediaPostRow, key=("owner", "workflow_id", "platform", "edition")
)


@social_media_posts.on(SocialPostWritten)
def keep_post(recorded: Recorded[SocialPostWritten]) -> tuple[SocialMediaPostRow]:
    """The post, as it was written."""
    post = recorded.event
    return (
        SocialMediaPostRow(
            id=recorded.id,
            owner=recorded.key.owner,
            workflow_id=recorded.key.workflow_id,
            platform=str(post.platform),
            edition=post.edition,
            position=recorded.position,
            text=post.text,
            length=post.length,
            usage=usage_of(post),
            written_at=recorded.recorded_at,
        ),
    )
