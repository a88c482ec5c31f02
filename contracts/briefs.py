"""The brief of a request: how a client wants it written. The log keeps any brief; requests are held to more."""

import re
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from contracts.events import Brief

TONE_LENGTH_MAX, AUDIENCE_LENGTH_MAX, LANGUAGE_LENGTH_MAX = 100, 200, 100
"""Characters: phrases that stand in every prompt. Whoever has more to say says it in the topic."""

WORDS_MIN, WORDS_MAX = 50, 5_000
"""Of a blog post. With fewer there is nothing to introduce; with more, models stop halfway or repeat themselves."""

_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_BREAKS_A_LINE = re.compile(f"[{_CONTROL}]")
_ONE_LINE: dict[str, Any] = {"pattern": rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$"}
_LENGTH = r"^(short|medium|long|([5-9][0-9]|[1-9][0-9]{2}|[1-4][0-9]{3}|5000)( words)?)$"


def _one_line(text: object) -> object:
    """Refuses what would break a prompt's line, before any of it is taken for mere space around the text."""
    if isinstance(text, str) and _BREAKS_A_LINE.search(text):
        raise PydanticCustomError("one_line", "It has to be one line, without control characters")
    return text


def _length(text: object) -> object:
    if not isinstance(text, str) or not re.fullmatch(_LENGTH, text):
        raise PydanticCustomError(
            "length", "It has to be short, medium, long, or a number of words from 50 to 5000, as 600 or 600 words"
        )
    return text


Tone = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=TONE_LENGTH_MAX),
    BeforeValidator(_one_line),
    Field(json_schema_extra=_ONE_LINE),
]
Audience = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=AUDIENCE_LENGTH_MAX),
    BeforeValidator(_one_line),
    Field(json_schema_extra=_ONE_LINE),
]
Language = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LANGUAGE_LENGTH_MAX),
    BeforeValidator(_one_line),
    Field(json_schema_extra=_ONE_LINE),
]
Length = Annotated[str, BeforeValidator(_length), Field(json_schema_extra={"pattern": _LENGTH})]


class BriefAsked(BaseModel):
    """How it is to be written. What is left out is up to the writer."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"tone": "playful", "audience": "people new to tea", "language": "German", "length": "600 words"}
            ]
        },
    )

    tone: Annotated[
        Tone | None,
        Field(description="How it sounds: one line of 1 to 100 characters.", examples=["playful"]),
    ] = None
    audience: Annotated[
        Audience | None,
        Field(description="Whom it speaks to: one line of 1 to 200 characters.", examples=["people new to tea"]),
    ] = None
    language: Annotated[
        Language | None,
        Field(description="The language of all texts, in words: one line of 1 to 100 characters.", examples=["German"]),
    ] = None
    length: Annotated[
        Length | None,
        Field(
            description="Of the blog post: `short` (about 400 words), `medium` (800), `long` (1,600), or a number of "
            "words from 50 to 5000, as `600` or `600 words`.",
            examples=["medium", "600 words"],
        ),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _known_fields_alone(cls, value: object) -> object:
        """Says what there is in place of what was sent, however many and long the unknown names are."""
        is_object = isinstance(value, dict) and cast(dict[Any, Any], value).keys() <= cls.model_fields.keys()
        if not is_object and not isinstance(value, cls):
            raise PydanticCustomError("brief", "It has to be an object of tone, audience, language and length alone")
        return cast(object, value)

    def brief(self) -> Brief:
        """The brief as the log keeps it: in the client's own words."""
        return Brief(tone=self.tone, audience=self.audience, language=self.language, length=self.length)
