"""Follows one workflow over the websocket: each event once and in order, through lost connections and dead gateways."""

import json
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import ClientConnection, connect

from cli.address import Address
from cli.failures import CannotBeDone
from cli.frames import Frame, Unreadable, read_frame
from cli.press import NothingAnswers, NotPressroom, not_pressroom
from cli.wording import harmless, one_line, sentence

PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Before the first attempt to attach again, before the second …; the last counts for all that follow."""

PATIENCE_S = 300.0
"""So long a gateway may be away or send nothing but refusals for now. It goes on without us in any case."""

SILENCE_S = 45.0
"""The server says something every 15 s; who says nothing for three times that is gone."""

CONNECT_S, CLOSE_S = 10.0, 1.0

FRAME_BYTES_MAX = 16 * 1024 * 1024
"""An event has at most 1 MiB; as JSON within JSON it may take a few times that."""

DONE, TOO_LARGE = 1000, 1009
OURS = range(4000, 5000)
"""Close codes with which the server refuses for good."""


@dataclass(frozen=True)
class Lost:
    """The connection is lost, or the server asks to come again; the next attempt to attach begins after the pause."""

    why: str
    pause_s: float


@dataclass(frozen=True)
class Closed:
    """The server has nothing more to say. Whoever goes on listening attaches again."""


Heard = Frame | Lost | Closed


class Broken(Exception):
    """This connection is of no more use; another one may be."""


class Turned(CannotBeDone):
    """The server refuses for good, in its own words."""

    def __init__(self, told: str, code: str = "") -> None:
        super().__init__(sentence(told))
        self.code = code


class GaveUp(CannotBeDone):
    """Nobody was there for too long."""


class Following:
    """Follows the workflow that `opening` starts or attaches to; a start must carry its own client_request_id.

    That makes it safe to be repeated: it is the same workflow.
    """

    def __init__(
        self,
        address: Address,
        opening: Mapping[str, Any],
        *,
        pauses_s: Sequence[float] = PAUSES_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._address, self._opening = address, opening
        self._pauses_s, self._patience_s = pauses_s, patience_s
        self._workflow_id: str | None = None
        self._revision = 0
        self._said: Frame | None = None  # the error that the server told last on this connection

    def frames(self) -> Generator[Heard]:
        """What is heard, until the listener leaves. Raises Turned, NothingAnswers (at first), GaveUp (later)."""
        failures, heard_at, has_connected = 0, time.monotonic(), False
        while True:
            try:
                with self._connection() as socket:
                    has_connected = True
                    socket.send(json.dumps(self._first_frame()))
                    for frame in self._listen(socket):
                        failures, heard_at = 0, time.monotonic()
                        yield frame
                yield Closed()
                why = "the server closed it"
            except OSError as wrong:
                if not has_connected:
                    raise NothingAnswers(self._address) from None
                why = f"nothing answers at {self._address.shown}" if isinstance(wrong, ConnectionError) else str(wrong)
            except InvalidHandshake as wrong:
                if not has_connected:
                    raise NotPressroom(not_pressroom(self._address, one_line(str(wrong), 200))) from None
                why = str(wrong)
            except (Broken, ConnectionClosed) as wrong:
                why = str(wrong)
            if time.monotonic() - heard_at > self._patience_s:
                raise GaveUp(f"{sentence(_capital(why))} That has lasted {self._patience_s:g} seconds.")
            pause_s = self._pauses_s[min(failures, len(self._pauses_s) - 1)]
            failures += 1
            yield Lost(one_line(why), pause_s)
            time.sleep(pause_s)

    def _first_frame(self) -> Mapping[str, Any]:
        if self._workflow_id is None:
            return self._opening
        return {"type": "attach", "workflow_id": self._workflow_id, "after_revision": self._revision}

    def _connection(self) -> ClientConnection:
        try:
            return connect(
                self._address.socket,
                open_timeout=CONNECT_S,
                close_timeout=CLOSE_S,
                max_size=FRAME_BYTES_MAX,
                proxy=None if self._address.is_near else True,
            )
        except InvalidStatus as wrong:
            status = wrong.response.status_code
            if status >= 500:
                raise Broken(f"{self._address.shown} answered with {status}") from None
            raise NotPressroom(not_pressroom(self._address, f"its websocket: HTTP {status}")) from None
        except InvalidURI as wrong:
            raise CannotBeDone(sentence(str(wrong))) from None

    def _listen(self, socket: ClientConnection) -> Iterator[Frame]:
        """The frames of one connection, until it is closed as done. Raises Broken, Turned."""
        self._said = None
        while True:
            try:
                frame = read_frame(socket.recv(timeout=SILENCE_S))
            except TimeoutError:
                raise Broken(f"nothing was heard for {SILENCE_S:g} seconds") from None
            except Unreadable as wrong:
                raise Broken(f"a frame could not be read: {wrong}") from None
            except ConnectionClosed as closed:
                self._understand(closed)
                return
            if self._is_new(frame):
                yield frame

    def _is_new(self, frame: Frame) -> bool:
        """Whether this frame tells something that was not told before. Raises Broken where something was left out."""
        if frame.type == "error":
            self._said = frame
            return False
        if frame.type != "event":
            return True
        if frame.revision > self._revision + 1:
            raise Broken(f"event {self._revision + 1} did not come")
        if frame.revision <= self._revision:
            return False
        self._workflow_id, self._revision = frame.workflow_id or self._workflow_id, frame.revision
        return True

    def _understand(self, closed: ConnectionClosed) -> None:
        """Returns where the server is done. Raises Turned, or Broken where another attempt makes sense."""
        code = closed.rcvd.code if closed.rcvd else None
        said = self._said
        problem = said.error if said else None
        if code in OURS or code == TOO_LARGE or (problem and not problem.retryable):
            told = said.payload if said else harmless(closed.rcvd.reason) if closed.rcvd else ""
            raise Turned(told or f"The server refused, and said no more than {code}", problem.code if problem else "")
        if code == DONE:
            return
        if said:
            raise Broken(said.payload)
        if closed.rcvd is None:
            raise Broken("the connection broke")
        raise Broken(harmless(closed.rcvd.reason) or f"the server closed it with {code}")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
