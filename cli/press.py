"""The conversation with the gateway over HTTP: what is asked, and what its refusals are in words."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, cast

import httpx2

from cli.address import Address, BadAddress
from cli.failures import CannotBeDone
from cli.wording import harmless, one_line, sentence

ANSWER_S, CONNECT_S = 30.0, 5.0
"""A read waits up to 5 s for the read tables and as long for Postgres."""

TRIES = 2
"""Of a request that is safe to repeat, when its connection breaks."""

Json = dict[str, Any]


class NothingAnswers(CannotBeDone):
    """Nobody is at the address."""

    def __init__(self, address: Address) -> None:
        if address.is_starting:
            told = f"Pressroom at {address.shown} is still starting; try again when it is ready."
        else:
            told = (
                f"Nothing answers at {address.shown}. Start Pressroom with `./run`, "
                "or name where it runs with --url, --data or PRESSROOM_URL."
            )
        super().__init__(told)


class NotPressroom(CannotBeDone):
    """Somebody is at the address, who does not speak as Pressroom does."""


class Refused(CannotBeDone):
    """The gateway refuses, with a status, a code for programs and a sentence for people."""

    def __init__(self, told: str, status: int, code: str) -> None:
        super().__init__(sentence(told))
        self.status, self.code = status, code


class Press:
    """The gateway at an address. What it answers is given as it is: `harmless` first, then show it.

    Raises BadAddress.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        try:
            base = httpx2.URL(address.url)
        except httpx2.InvalidURL as wrong:
            raise BadAddress(f"{address.shown!r} is no address of a server: {sentence(str(wrong))}") from None
        self._http = httpx2.Client(
            base_url=base,
            timeout=httpx2.Timeout(ANSWER_S, connect=CONNECT_S),
            trust_env=not address.is_near,
            follow_redirects=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, wrong: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def get(self, path: str, *keys: str, **asked: Any) -> Json:
        """What the gateway answers, with these keys in it.

        Raises NothingAnswers, NotPressroom, Refused or another CannotBeDone.
        """
        told = self._ask("GET", path, params={name: value for name, value in asked.items() if value is not None})
        if not set(keys) <= set(told):
            raise NotPressroom(not_pressroom(self.address, "an answer of another shape"))
        return told

    def post(self, path: str, body: Mapping[str, Any]) -> Json:
        """For what is safe to repeat. Raises as `get` does."""
        return self._ask("POST", path, json=dict(body))

    def _ask(self, method: str, path: str, **said: Any) -> Json:
        for last in (number == TRIES for number in range(1, TRIES + 1)):
            try:
                return self._read(self._http.request(method, path, **said))
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                raise NothingAnswers(self.address) from None
            except httpx2.TimeoutException:
                raise CannotBeDone(
                    f"{self.address.shown} took the question and gave no answer in {ANSWER_S:g} seconds. "
                    "Try again; `./run status` tells how its parts are."
                ) from None
            except httpx2.HTTPError as wrong:
                if last or not isinstance(wrong, httpx2.TransportError):
                    raise CannotBeDone(
                        f"The connection to {self.address.shown} broke ({one_line(str(wrong), 200)}). Try again."
                    ) from None
        raise AssertionError("the last try returns or raises")

    def _read(self, answer: httpx2.Response) -> Json:
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise NotPressroom(not_pressroom(self.address, f"HTTP {answer.status_code}"))
        told = cast(Json, body)
        if answer.is_success:
            return told
        problem = harmless(told)
        said = problem.get("detail") or problem.get("title") or f"The gateway answered with {answer.status_code}."
        raise Refused(str(said), answer.status_code, str(problem.get("code", "")))


def not_pressroom(address: Address, why: str) -> str:
    """That somebody else is at the address."""
    return (
        f"What answers at {address.shown} does not speak as Pressroom does ({why}). "
        "Name the right address with --url or PRESSROOM_URL."
    )
