"""What the gateway works with, and how its handlers come by it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from chassis.health import Health
from chassis.object_store import ObjectStore
from services.gateway.desk import Desk
from services.gateway.library import Library
from services.gateway.lookout import Lookout
from services.gateway.refolding import Refolds
from services.gateway.sockets import Places
from services.gateway.tail import Tails


@dataclass(frozen=True)
class Parts:
    """Everything behind the gateway. Only the library needs Postgres: without it, all the rest is served."""

    desk: Desk
    tails: Tails
    library: Library
    gallery: ObjectStore
    health: Health
    lookout: Lookout
    refolds: Refolds
    places: Places
    origins: str = ""


def _parts(connection: HTTPConnection) -> Parts:
    return connection.app.state.parts


Needed = Annotated[Parts, Depends(_parts)]
"""A handler's parameter of this type is given the parts."""
