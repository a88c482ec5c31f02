"""The majority of the log's servers: when it is said to be lacking, and when not."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis.strategies import floats
from structlog.typing import EventDict

from chassis import connection as connection_rules
from chassis import majority as majority_rules
from chassis.connection import Connection, Disconnected, NoAnswer
from chassis.event_store import NotAllowed
from chassis.jetstream_log import STREAM_INFO
from chassis.majority import NO_MAJORITY, Majority, has_majority
from chassis.standing import consumer_info
from contracts.services import GATEWAY, PROJECTOR, WRITER
from local.servers import Running
from tests.chassis.plant import PATIENCE_S, Plant
from tests.waiting import until

SECOND = 1_000_000_000
LONG_AGO = 5 * SECOND


def told(leader: str = "pressroom-1", **heard: int) -> dict[str, Any]:
    """As JetStream tells it: how long ago the leader has heard from each of the other servers."""
    replicas = [{"name": name, "current": True, "active": ago} for name, ago in heard.items()]
    return {"cluster": {"raft_group": "S-R3F", "leader": leader, "replicas": replicas}}


class TestWhatTheLeaderTells:
    def test_one_other_of_two_that_it_hears_is_enough(self) -> None:
        assert has_majority(told(two=SECOND, three=LONG_AGO))

    def test_leader_that_hears_nobody_has_none_whatever_it_says(self) -> None:
        assert not has_majority(told(two=LONG_AGO, three=LONG_AGO))

    def test_one_that_was_never_heard_does_not_count(self) -> None:
        assert not has_majority(told(two=0, three=LONG_AGO))

    def test_without_a_leader_there_is_none(self) -> None:
        assert not has_majority(told(leader="", two=SECOND, three=SECOND))

    def test_one_copy_needs_no_other(self) -> None:
        assert has_majority(told()) and has_majority({"config": {}})

    @pytest.mark.parametrize(("code", "is_there"), [(10008, False), (10009, False), (10014, True), (10059, True)])
    def test_of_what_is_refused_only_servers_that_do_not_find_together_count(self, code: int, is_there: bool) -> None:
        assert has_majority({"error": {"code": 503, "err_code": code}}) is is_there


class Silent:
    """A connection to several servers, none of which answers until the test says so."""

    has_cluster = is_up = True

    def __init__(self, why: Exception | None) -> None:
        self.why = why

    async def ask(self, subject: str, payload: bytes, *, timeout_s: float) -> SimpleNamespace:
        if self.why:
            raise self.why
        return SimpleNamespace(data=json.dumps(told(two=SECOND, three=SECOND)))

    def served(self) -> None: ...


def watching(connection: Silent) -> Majority:
    return Majority(cast(Connection, connection), STREAM_INFO)


class TestASilence:
    async def test_is_not_told_while_it_may_be_a_change_of_leaders(self, lines: list[EventDict]) -> None:
        majority = watching(Silent(NoAnswer("late")))
        await majority.look()
        assert majority.trouble() is None and not lines

    async def test_is_told_when_it_lasts(self, monkeypatch: pytest.MonkeyPatch, lines: list[EventDict]) -> None:
        monkeypatch.setattr(majority_rules, "LACKED_S", 0.0)
        majority = watching(Silent(NoAnswer("late")))
        for _ in range(3):
            await majority.look()
        assert majority.trouble() == majority.lacking() == NO_MAJORITY
        assert [line["event"] for line in lines] == ["the log has no majority of its servers"]

    async def test_ends_with_a_word_to_whoever_may_have_asked_in_vain(self) -> None:
        connection = Silent(NoAnswer("late"))
        majority, words = watching(connection), list[str]()
        majority.on_return.append(lambda: words.append("ask again"))
        await majority.look()
        connection.why = None
        await majority.look()
        await majority.look()
        assert words == ["ask again"]

    @pytest.mark.parametrize("why", [Disconnected("away"), NotAllowed("writer may not use it")])
    async def test_without_a_connection_or_a_right_says_nothing_of_the_servers(
        self, why: Exception, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(majority_rules, "LACKED_S", 0.0)
        majority = watching(Silent(why))
        await majority.look()
        assert majority.lacking() is None


class Clock:
    """Stands in the place of the module `time`."""

    def __init__(self, at: float) -> None:
        self.at = at

    def monotonic(self) -> float:
        return self.at


class LeftAlone(Silent):
    """The server that is left leads the log, and has heard the others up to the moment 0."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(None)
        self._clock = clock

    def unserved(self) -> None: ...

    async def ask(self, subject: str, payload: bytes, *, timeout_s: float) -> SimpleNamespace:
        ago = int(self._clock.at * SECOND) + 1
        return SimpleNamespace(data=json.dumps(told(two=ago, three=ago)))


class LeftWithoutALeader(Silent):
    """The server that is left does not lead the log: its answer never comes."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(NoAnswer("late"))
        self._clock = clock

    async def ask(self, subject: str, payload: bytes, *, timeout_s: float) -> SimpleNamespace:
        self._clock.at += timeout_s
        raise NoAnswer("late")


TOLD_AFTER_S, TOLD_WITHIN_S = 6.0, 11.0
"""As docs/reliability-faults.md says."""

A_LITTLE_S = 0.001
"""A pause lasts at least as long as was asked."""


@pytest.mark.parametrize("left", [LeftAlone, LeftWithoutALeader])
@given(first_look=floats(0.001, majority_rules.LOOK_S))
async def test_two_of_three_that_are_gone_are_told_after_6_to_11_seconds(
    left: Callable[[Clock], Silent], first_look: float
) -> None:
    clock = Clock(first_look)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(majority_rules, "time", clock)
        majority, began = watching(left(clock)), clock.at
        await majority.look()
        while majority.trouble() is None:
            clock.at = began = max(began + majority_rules.LOOK_S + A_LITTLE_S, clock.at)
            await majority.look()
    assert TOLD_AFTER_S <= clock.at <= TOLD_WITHIN_S + 3 * A_LITTLE_S


async def test_two_of_three_that_stand_still_are_told_by_every_service_and_so_is_their_return(
    cluster_plant: Plant, monkeypatch: pytest.MonkeyPatch, lines: list[EventDict]
) -> None:
    monkeypatch.setattr(majority_rules, "HEARD_WITHIN_S", 2.0)
    monkeypatch.setattr(majority_rules, "LACKED_S", 0.0)
    monkeypatch.setattr(connection_rules, "UNSERVED_S", PATIENCE_S)  # so that each stays at the server that runs
    running, leader = cluster_plant.running, await cluster_plant.leader()
    url = f"{running.nats_url.split(',')[running.nats_names.index(leader)]},nats://127.0.0.1:1"
    majorities = list[Majority]()
    async with AsyncExitStack() as stack:
        for user, asks in {GATEWAY: STREAM_INFO, WRITER: consumer_info(WRITER), PROJECTOR: STREAM_INFO}.items():
            connection = await Connection.open(url, user=user, password=running.passwords[user], name=user)
            stack.push_async_callback(connection.close)
            majorities.append(Majority(connection, asks))

        async def all_say(what: str | None) -> bool:
            await asyncio.gather(*(majority.look() for majority in majorities))
            return all(majority.trouble() == what for majority in majorities)

        await until(lambda: all_say(None), "each finds a majority")
        lines.clear()
        with stopped(running, *(name for name in running.nats_names if name != leader)):
            await until(lambda: all_say(NO_MAJORITY), "each says that there is none")
        await until(lambda: all_say(None), "each finds a majority again")
    assert Counter(line["event"] for line in lines) == {
        "the log has no majority of its servers": 3,
        "the log has a majority of its servers again": 3,
    }


@contextmanager
def stopped(running: Running, *names: str) -> Generator[None]:
    """Meanwhile these servers stand still."""
    pids = [running.pid(name) for name in names]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
