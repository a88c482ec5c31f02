"""What the tables of artefacts share."""

from contracts.events import Artefact
from services.projector.table import Json


def usage_of(artefact: Artefact) -> Json:
    """What the artefact used of its provider, as a column of jsonb."""
    return None if artefact.usage is None else artefact.usage.model_dump(mode="json")
