"""The data directory of one Pressroom: who holds it, which ports it uses, which passwords were made for it."""

import fcntl
import json
import os
import random
import secrets
import socket
import threading
from collections.abc import Callable, Container, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

LOCALHOST = "127.0.0.1"

# Below the ephemeral range (Linux hands out 32768 and up), so that no outgoing connection takes one of
# ours between two starts; above what well-known servers use.
PORTS = range(10_000, 32_768)


class CannotStart(Exception):
    """Something on this machine is in the way; the message says what, and what to do."""


@dataclass(frozen=True)
class Holder:
    """The process that runs on a data directory."""

    pid: int
    address: str
    is_ready: bool = False
    has_standin: bool = False


class DataDirectory:
    """All that is kept between two starts. Only its holder writes; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self._turn = threading.Lock()
        self._companions: dict[str, list[int]] = {}

    @contextmanager
    def held(self, address: str) -> Generator["Hold"]:
        """Keeps every other start away from this directory; raises CannotStart where one is already there."""
        try:
            self._create()
            file = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CannotStart(f"The data directory {self.path} cannot be used: {error.strerror}.") from error
        try:
            if not locked(file, fcntl.LOCK_EX):
                self.refuse_if_held()
                raise CannotStart(f"Another start on the data directory {self.path} is under way.")
            hold = Hold(file, Holder(os.getpid(), address))
            hold.note()
            yield hold
        finally:
            os.close(file)  # which gives the lock back; the kernel does the same for a killed process

    def refuse_if_held(self) -> None:
        if holder := self.holder():
            raise CannotStart(
                f"Pressroom already runs on the data directory {self.path}: at {holder.address}, process {holder.pid}. "
                "Stop it, or choose another directory with --data."
            )

    def holder(self) -> Holder | None:
        """Who runs on this directory now; None when nobody does."""
        try:
            file = os.open(self.path / "lock", os.O_RDONLY)
        except OSError:
            return None
        try:
            return None if locked(file, fcntl.LOCK_SH) else Holder(**json.loads((self.path / "lock").read_text()))
        except ValueError:
            return None  # caught in the middle of its first note
        finally:
            os.close(file)

    def remember(self, name: str, make: Callable[[], str], *, anew: bool = False) -> str:
        """The value kept under this name; made, and safely on disk before it is used, when there is none."""
        with self._turn:
            kept = self._kept()
            if anew or name not in kept:
                kept[name] = make()
                write_private(self.path / "state.json", json.dumps(kept, indent=1))
            return kept[name]

    def known(self, name: str) -> str | None:
        """The value kept under this name, if there is one."""
        return self._kept().get(name)

    def password(self, name: str) -> str:
        return self.remember(f"password.{name}", lambda: secrets.token_hex(20))

    def port(self, name: str) -> int:
        """The port that was settled for this name."""
        return int(self.remember(f"port.{name}", lambda: str(free_port())))

    def settle_port(self, name: str, *, offsets: Sequence[int] = (0,), anew: bool = False) -> int:
        """A port that is free now, with its companions at these offsets: the one used last time where possible.

        None of them is another name's, whose server may not have begun to listen.
        """

        def choose() -> str:
            return str(free_port(offsets, apart_from=self._ports_of_others(name)))

        known, others = self._kept().get(f"port.{name}"), self._ports_of_others(name)
        is_usable = known is not None and all(_is_open(int(known) + offset, others) for offset in offsets)
        port = int(self.remember(f"port.{name}", choose, anew=anew or not is_usable))
        self._companions[name] = [port + offset for offset in offsets]
        return port

    def _ports_of_others(self, name: str) -> set[int]:
        own = f"port.{name}"
        kept = {int(port) for other, port in self._kept().items() if other.startswith("port.") and other != own}
        return kept.union(*(ports for other, ports in [*self._companions.items()] if other != name))

    def _create(self) -> None:
        if not self.path.exists():
            self.path.mkdir(parents=True)
            # For root, Postgres runs as another user, who must be able to pass through; what is secret has 0600.
            self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        self.logs.mkdir(mode=0o700, exist_ok=True)

    def _kept(self) -> dict[str, str]:
        try:
            return json.loads((self.path / "state.json").read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise CannotStart(f"{self.path / 'state.json'}, which holds the passwords, is damaged: {error}.") from error


class Hold:
    """The lock on a data directory, with a note about its holder for whoever asks."""

    def __init__(self, file: int, holder: Holder) -> None:
        self._file = file
        self._holder = holder

    def note(self, *, is_ready: bool = False, has_standin: bool = False) -> None:
        text = json.dumps(asdict(self._holder) | {"is_ready": is_ready, "has_standin": has_standin}).encode()
        os.pwrite(self._file, text, 0)
        os.ftruncate(self._file, len(text))


def locked(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_private(path: Path, text: str) -> None:
    """Replaces the file in one step: a kill in the middle leaves the old one."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def free_port(offsets: Sequence[int] = (0,), *, apart_from: Container[int] = ()) -> int:
    """Chosen at random, so that two starts at the same moment rarely meet; whoever meets chooses again."""
    for port in random.sample(PORTS, 1_000):
        if port + max(offsets) in PORTS and all(_is_open(port + offset, apart_from) for offset in offsets):
            return port
    raise CannotStart(f"No free port was found between {PORTS.start} and {PORTS.stop}.")


def _is_open(port: int, others: Container[int]) -> bool:
    return port not in others and is_free(port)


def is_free(port: int) -> bool:
    try:
        bound(LOCALHOST, port).close()
    except OSError:
        return False
    return True


def bound(host: str, port: int, *, listens: bool = False) -> socket.socket:
    """A socket that has this address. Raises OSError where a server could not listen."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    holder = socket.socket(family, kind, protocol)
    try:
        # As servers do: a connection of the last run that is still fading away doesn't count as taken.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(address)
        if listens:
            holder.listen()
    except OSError:
        holder.close()
        raise
    return holder
