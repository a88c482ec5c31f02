"""What a client asks for, and how a request that does not fit is said in a sentence."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from contracts.briefs import BriefAsked
from contracts.commands import RequestWorkflow
from contracts.events import Brief, Topic
from contracts.platforms import Platform

RequestId = Annotated[
    str,
    # No zero byte, as in a topic.
    StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$"),
]


NAME_LENGTH_MAX = 80
"""So much is repeated of a field's name: one that there is not may have any length."""


class ContentRequest(BaseModel):
    """A topic to be turned into a blog post, social posts and a picture."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "topic": "The history of tea",
                    "research": True,
                    "platforms": ["linkedin", "bluesky"],
                    "brief": {"tone": "playful", "audience": "people new to tea", "length": "medium"},
                }
            ]
        },
    )

    topic: Annotated[
        Topic,
        Field(
            description="What to write about: 1 to 2,000 characters, not all of them blank.",
            json_schema_extra={"pattern": r"^[^\x00]*[^\s\x00][^\x00]*$"},
        ),
    ]
    research: Annotated[StrictBool, Field(description="Search for sources first, and cite them.")] = False
    platforms: Annotated[
        tuple[Platform, ...],
        Field(
            max_length=len(Platform),
            description="Where to post: each platform once.",
            json_schema_extra={"minItems": 1, "uniqueItems": True},
        ),
    ] = (Platform.LINKEDIN,)
    brief: Annotated[
        BriefAsked | None, Field(description="How it is to be written; without it, as the writer sees fit.")
    ] = None
    client_request_id: Annotated[
        RequestId | None,
        Field(description="Your own id of this request. The same id again is the same workflow, never a second one."),
    ] = None

    @field_validator("platforms")
    @classmethod
    def _each_once(cls, platforms: tuple[Platform, ...]) -> tuple[Platform, ...]:
        if not platforms:
            raise PydanticCustomError("platforms", "It has to name a platform, or to be left out")
        if len(set(platforms)) != len(platforms):
            raise PydanticCustomError("platforms", "Each platform may be named once")
        return platforms

    def command(self) -> RequestWorkflow:
        """The command that starts this workflow."""
        return RequestWorkflow(
            topic=self.topic,
            research=self.research,
            platforms=self.platforms,
            brief=self.brief.brief() if self.brief else Brief(),
            client_request_id=self.client_request_id,
        )


def sentence(wrong: ValidationError) -> str:
    """What is wrong with a request, field by field, in words. Never repeats what the client sent in one."""
    problems = wrong.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{_place(problem['loc'])}: {problem['msg']}" for problem in problems[:10])


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)[:NAME_LENGTH_MAX] or "request"
