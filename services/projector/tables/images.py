"""Read table `images`: every illustration that was drawn. The pictures themselves are in the object store."""

from dataclasses import dataclass
from datetime import datetime

from contracts.envelope import Recorded
from contracts.events import IllustrationDrawn
from services.projector.table import Json, Table
from services.projector.tables.artefacts import usage_of


@dataclass(frozen=True, kw_only=True)
class ImageRow:
    """One illustration."""

    id: str
    owner: str
    workflow_id: str
    edition: int
    position: int
    key: str
    sha256: str
    bytes: int
    width: int
    height: int
    content_type: str
    prompt: str
    alt_text: str
    usage: Json
    drawn_at: datetime


images = Table("images", ImageRow, key=("owner", "workflow_id", "edition"))


@images.on(IllustrationDrawn)
def keep_picture(recorded: Recorded[IllustrationDrawn]) -> tuple[ImageRow]:
    """Where the picture is, and what it shows."""
    drawn = recorded.event
    return (
        ImageRow(
            id=recorded.id,
            owner=recorded.key.owner,
            workflow_id=recorded.key.workflow_id,
            edition=drawn.edition,
            position=recorded.position,
            key=drawn.key,
            sha256=drawn.sha256,
            bytes=drawn.bytes,
            width=drawn.width,
            height=drawn.height,
            content_type=drawn.content_type,
            prompt=drawn.prompt,
            alt_text=drawn.alt_text,
            usage=usage_of(drawn),
            drawn_at=recorded.recorded_at,
        ),
    )
