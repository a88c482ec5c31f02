"""Presence: what each process of a service says of itself every few seconds. Live only, never in the log.

Nothing depends on it but the status: a process that nobody hears does its work all the same.
"""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from contracts.events import Moment

EVERY_S = 5.0
"""How often a process says that it is there."""

HEARD_WITHIN_S = 15.0
"""Who has not been heard for so long, three times in a row, is taken for gone."""

NAME_LENGTH_MAX, SENTENCE_LENGTH_MAX = 255, 500
PARTS_MAX = 12

PRESENCE_BYTES_MAX = 40 * 1024
"""Above all that these limits let through. What is larger is not even parsed."""


class BadPresence(ValueError):
    """This is not what a process says of itself."""


def printable(text: str, length_max: int) -> str:
    """The text in one line that a terminal may show: what does not print becomes a space, the rest is cut off."""
    return "".join(one if one.isprintable() else " " for one in text[:length_max])


def _prints(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has characters that do not print")
    return text


Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX), AfterValidator(_prints)]
Sentence = Annotated[str, Field(min_length=1, max_length=SENTENCE_LENGTH_MAX), AfterValidator(_prints)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


class Presence(BaseModel):
    """One process, in its own words. Its service is told by the subject, which no other service may use.

    `parts`: each part that it checks of itself, and what is wrong with it; `ok` where nothing is. `slots` and `busy`:
    how many deliveries a stage's process can hold, and how many it holds. `leaving`: these are its last words.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    worker: Name
    host: Name
    started_at: Moment
    parts: Annotated[dict[Name, Sentence], Field(max_length=PARTS_MAX)]
    slots: Count | None = None
    busy: Count | None = None
    leaving: bool = False

    @classmethod
    def read(cls, body: bytes) -> Self:
        """The presence in this message. Raises BadPresence, in words that are safe to log."""
        if len(body) > PRESENCE_BYTES_MAX:
            raise BadPresence(f"it has {len(body)} bytes; at most {PRESENCE_BYTES_MAX} are read")
        try:
            return cls.model_validate_json(body)
        except ValidationError as wrong:
            problem = wrong.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, problem["loc"])) or "the body"
            raise BadPresence(printable(f"{place}: {problem['msg']}", SENTENCE_LENGTH_MAX)) from None

    @property
    def is_ready(self) -> bool:
        """Is everything in order that it checks of itself?"""
        return all(what == "ok" for what in self.parts.values())
