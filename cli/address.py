"""Where Pressroom is: what the user says, else the system that runs on the data directory, else the usual address."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cli.failures import CannotBeDone, Misspoken
from local.state import DataDirectory
from local.verbs import DATA

USUAL = "http://127.0.0.1:8000"
VARIABLE = "PRESSROOM_URL"

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - they are only compared
"""Where a server that listens everywhere is found from here."""


class BadAddress(Misspoken):
    """This is no address of a server; the message says what one looks like."""


class NothingRunsThere(CannotBeDone):
    """Nothing runs on the data directory that was named."""


@dataclass(frozen=True)
class Address:
    """Where a gateway answers. `option`: what a command has to be told in order to get there again."""

    url: str
    option: str = ""
    is_starting: bool = False

    @property
    def socket(self) -> str:
        """The websocket's address."""
        return f"ws{self.url.removeprefix('http')}/content"

    @property
    def shown(self) -> str:
        """The address without a name and a password in it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def is_near(self) -> bool:
        """Whether it is on this very machine, to which no proxy leads."""
        host = urlsplit(self.url).hostname or ""
        try:
            return host == "localhost" or ip_address(host).is_loopback
        except ValueError:
            return False


def find_address(url: str | None, data: Path | None, environment: Mapping[str, str]) -> Address:
    """What was said on the command line, else in the environment, else what runs here. Raises BadAddress and others.

    NothingRunsThere: the data directory was named, and nothing runs on it.
    """
    if url is not None:
        return Address(checked(url), option=f" --url {url}")
    if data is None and environment.get(VARIABLE):
        return Address(checked(environment[VARIABLE]))
    holder = DataDirectory(data or DATA).holder()
    if holder is not None:
        option = f" --data {data}" if data else ""
        return Address(from_here(holder.address), option, is_starting=not holder.is_ready)
    if data is not None:
        raise NothingRunsThere(f"Nothing runs on the data directory {data}; `./run up --data {data}` starts it.")
    return Address(USUAL)


def checked(url: str) -> str:
    """The address without a slash at its end. Raises BadAddress."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or "?" in url or "#" in url:
        raise BadAddress(f"{url!r} is no address of a server; one looks like {USUAL}.")
    return url.rstrip("/")


def from_here(address: str) -> str:
    for everywhere, here in EVERYWHERE.items():
        address = address.replace(f"//{everywhere}:", f"//{here}:")
    return address
