"""The status: how Pressroom itself is. It is told whatever is away, and always with 200: the gateway answers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict

from services.gateway.parts import Needed
from services.gateway.problems import BAD_REQUEST, answers
from services.gateway.reads import each_once
from services.gateway.status_shapes import Status


class StatusAsked(BaseModel):
    """There is nothing to choose; what is asked for all the same is refused."""

    model_config = ConfigDict(extra="forbid")


router = APIRouter(dependencies=[Depends(each_once)])


@router.get(
    "/status",
    tags=["Status"],
    response_description="The status, whether anything is wrong or not",
    responses=answers(BAD_REQUEST),
)
async def read_status(asked: Annotated[StatusAsked, Query()], parts: Needed) -> Status:
    """The processes, what waits for each stage, the log, how far the read tables are, and what is wrong with any of it.

    It answers within seconds, with what can be told: the rest is null, and `trouble` says why. For a machine that only
    wants to know whether to send requests here, there is `/health/ready`.
    """
    return await parts.lookout.look()
