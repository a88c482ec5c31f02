"""Pages of a list, newest first: where one ends, and how the next one is asked for.

A cursor is opaque to clients: the place in the log behind which the next page begins, with a version before it, so that
an old cursor is refused and not misread when that ever changes.
"""

import base64
import re
from typing import Annotated, Generic, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

VERSION = b"\x01"
FORM = "A[Q-X][A-Za-z0-9_-]{10}"
"""Nine bytes in base64url: the version, then a number below 2^63. Every text that fits is one, and no other is."""

CURSOR_LENGTH_MAX = 200
POSITION_MAX = 2**53
"""What JSON's readers can still tell from its neighbours."""

BEGINNING = 2**63 - 1
"""Behind every position: the first page is what is older than this."""

EXAMPLE = 41

T = TypeVar("T")


def cursor_at(position: int) -> str:
    """The cursor of the page that begins behind this position."""
    return base64.urlsafe_b64encode(VERSION + position.to_bytes(8, "big")).decode()


def position_of(cursor: str | None) -> int:
    """The position that the cursor stands for, BEGINNING for none. Raises ValueError where it is no cursor."""
    if cursor is None:
        return BEGINNING
    if not re.fullmatch(FORM, cursor):
        raise ValueError("this is no cursor")
    return int.from_bytes(base64.urlsafe_b64decode(cursor)[len(VERSION) :], "big")


def _checked(cursor: str) -> str:
    try:
        position_of(cursor)
    except ValueError:
        told = "this is no cursor; give the `next` of the page before as it is, or leave it out for the first page"
        raise PydanticCustomError("cursor", told) from None
    return cursor


Cursor = Annotated[
    str,
    Field(max_length=CURSOR_LENGTH_MAX, json_schema_extra={"pattern": f"^{FORM}$"}),
    AfterValidator(_checked),
]


def never_null(schema: JsonDict) -> None:
    """For the schema of a parameter that may be left out: OpenAPI would else offer null, which no query can hold."""
    for choice in cast(list[JsonDict], schema.pop("anyOf")):
        if choice != {"type": "null"}:
            schema.update(choice)


class Asked(BaseModel):
    """What every read may be asked with. A parameter that is not known is refused: it may be a misspelt filter."""

    model_config = ConfigDict(extra="forbid")

    min_position: Annotated[
        int,
        Field(
            ge=0,
            le=POSITION_MAX,
            description="Wait until the read tables contain the log up to this position: so you read your own write. "
            "`POST /workflows` answers with one. After 5 seconds in vain the answer is 503 `projection-behind`.",
            examples=[EXAMPLE],
        ),
    ] = 0


class PageAsked(Asked):
    """What every list may be asked with."""

    limit: Annotated[int, Field(ge=1, le=100, description="How many at most.", examples=[20])] = 20
    cursor: Annotated[
        Cursor | None,
        Field(
            description="Where the page begins: the `next` of the page before it.",
            examples=[cursor_at(EXAMPLE)],
            json_schema_extra=never_null,
        ),
    ] = None

    @property
    def before(self) -> int:
        """The page holds what is older than this position."""
        return position_of(self.cursor)


class Page(BaseModel, Generic[T]):
    """One page of a list, newest first."""

    items: list[T]
    next: Annotated[str | None, Field(description="The `cursor` of the next page; null when this is the last one.")]
    position: Annotated[int, Field(description="The read tables contain the log up to this position.")]
