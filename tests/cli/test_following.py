"""Following a workflow: each event once, through lost connections, refusals and gateways that go away."""

from contextlib import closing
from itertools import takewhile

import pytest

from cli.address import Address
from cli.following import Closed, Following, GaveUp, Heard, Lost, Turned
from cli.frames import Frame
from cli.press import NothingAnswers, NotPressroom
from tests.cli.gateway import DROP, Gateway, Visit, error
from tests.cli.given import ID, History, Json, delta
from tests.listening import listener

ATTACH: Json = {"type": "attach", "workflow_id": ID, "after_revision": 0}
START: Json = {"type": "start", "topic": "Tea", "client_request_id": "mine"}
EVENTS = History().whole().events
REVISIONS = list(range(1, len(EVENTS) + 1))


def heard_from(gateway: Gateway, opening: Json = ATTACH, *, patience_s: float = 60) -> list[Heard]:
    """Everything that is heard until the server is done."""
    following = Following(Address(gateway.address), opening, pauses_s=(0,), patience_s=patience_s)
    with closing(following.frames()) as heard:
        return list(takewhile(lambda one: not isinstance(one, Closed), heard))


def revisions(heard: list[Heard]) -> list[int]:
    return [one.revision for one in heard if isinstance(one, Frame) and one.type == "event"]


def losses(heard: list[Heard]) -> list[str]:
    return [one.why for one in heard if isinstance(one, Lost)]


class TestEvents:
    def test_every_event_is_heard_in_order(self, gateway: Gateway) -> None:
        gateway.visits = [Visit(EVENTS)]
        assert revisions(heard_from(gateway)) == REVISIONS

    def test_deltas_come_between_them(self, gateway: Gateway) -> None:
        gateway.visits = [Visit([EVENTS[0], delta("Tea"), *EVENTS[1:]])]
        assert [one.type for one in heard_from(gateway) if isinstance(one, Frame)][:3] == ["event", "delta", "event"]

    def test_an_event_that_comes_twice_is_heard_once(self, gateway: Gateway) -> None:
        gateway.visits = [Visit([*EVENTS[:3], *EVENTS])]
        assert revisions(heard_from(gateway)) == REVISIONS

    def test_a_gap_makes_it_attach_again(self, gateway: Gateway) -> None:
        gateway.visits = [Visit([*EVENTS[:2], *EVENTS[4:]]), Visit(EVENTS[2:])]
        heard = heard_from(gateway)
        assert (revisions(heard), losses(heard)) == (REVISIONS, ["event 3 did not come"])

    def test_a_frame_that_makes_no_sense_makes_it_attach_again(self, gateway: Gateway) -> None:
        gateway.visits = [Visit([*EVENTS[:2], "[]"]), Visit(EVENTS[2:])]
        assert revisions(heard_from(gateway)) == REVISIONS


class TestLostConnections:
    def test_it_attaches_behind_the_last_event(self, gateway: Gateway) -> None:
        gateway.visits = [Visit(EVENTS[:4], ends=DROP), Visit(EVENTS[4:])]
        heard = heard_from(gateway)
        assert (revisions(heard), losses(heard)) == (REVISIONS, ["the connection broke"])
        assert gateway.first_frames[1] == {"type": "attach", "workflow_id": ID, "after_revision": 4}

    def test_a_start_that_was_answered_is_followed_by_an_attach(self, gateway: Gateway) -> None:
        gateway.visits = [Visit(EVENTS[:1], ends=DROP), Visit(EVENTS[1:])]
        heard_from(gateway, START)
        assert [frame["type"] for frame in gateway.first_frames] == ["start", "attach"]

    def test_a_start_whose_answer_was_lost_is_repeated_under_the_same_id(self, gateway: Gateway) -> None:
        gateway.visits = [Visit(ends=DROP), Visit(EVENTS)]
        assert revisions(heard_from(gateway, START)) == REVISIONS
        assert gateway.first_frames == [START, START]

    @pytest.mark.parametrize("code", [1001, 1011, 1012, 1013])
    def test_a_server_that_goes_or_asks_to_come_again_is_obeyed(self, gateway: Gateway, code: int) -> None:
        gateway.visits = [Visit(EVENTS[:4], ends=code, reason="come again"), Visit(EVENTS[4:])]
        heard = heard_from(gateway)
        assert (revisions(heard), losses(heard)) == (REVISIONS, ["come again"])

    def test_what_the_server_said_before_is_the_reason(self, gateway: Gateway) -> None:
        told = "The log does not answer at the moment."
        gateway.visits = [Visit([error(told, retryable=True)], ends=1013), Visit(EVENTS)]
        assert losses(heard_from(gateway)) == [told]

    def test_patience_ends(self, gateway: Gateway) -> None:
        gateway.visits = [Visit(EVENTS[:1], ends=DROP)]
        with pytest.raises(GaveUp, match="The connection broke"):
            heard_from(gateway, patience_s=0)

    def test_a_gateway_that_is_gone_is_waited_for(self) -> None:
        pauses: list[float] = []
        with Gateway() as gateway:
            gateway.visits = [Visit(EVENTS[:1], ends=DROP)]
            following = Following(Address(gateway.address), ATTACH, pauses_s=(0, 0, 0.01), patience_s=60)
            heard = following.frames()
            assert isinstance(next(heard), Frame)
        with closing(heard):
            for one in heard:
                assert isinstance(one, Lost)
                pauses.append(one.pause_s)
                if len(pauses) == 4:
                    break
        assert pauses == [0, 0, 0.01, 0.01], "ever longer, and then as long as the last"

    def test_a_gateway_that_is_started_again_is_found(self) -> None:
        with Gateway() as first:
            first.visits = [Visit(EVENTS[:4], ends=DROP)]
            heard = Following(Address(first.address), ATTACH, pauses_s=(0.02,)).frames()
            before = [next(heard) for _ in range(4)]
        assert isinstance(next(heard), Lost)
        with Gateway(first.port) as second, closing(heard):
            second.visits = [Visit(EVENTS[4:])]
            after = list(takewhile(lambda one: not isinstance(one, Closed), heard))
        assert revisions([*before, *after]) == REVISIONS


class TestRefusals:
    @pytest.mark.parametrize("code", [4400, 4404, 4409, 4413, 4429])
    def test_a_refusal_is_told_in_the_servers_words(self, gateway: Gateway, code: int) -> None:
        gateway.visits = [Visit([error("That is not to be", retryable=code == 4429)], ends=code)]
        with pytest.raises(Turned, match=r"^That is not to be\.$"):
            heard_from(gateway)
        assert len(gateway.first_frames) == 1

    def test_a_refusal_without_words_names_its_code(self, gateway: Gateway) -> None:
        gateway.visits = [Visit(ends=4404)]
        with pytest.raises(Turned, match="4404"):
            heard_from(gateway)

    def test_what_no_repeat_can_mend_is_not_repeated(self, gateway: Gateway) -> None:
        gateway.visits = [Visit([error("The history cannot be read.")], ends=1013)]
        with pytest.raises(Turned, match="The history cannot be read"):
            heard_from(gateway)

    def test_words_of_a_refusal_are_harmless(self, gateway: Gateway) -> None:
        gateway.visits = [Visit([error("no\x1b[2Jsuch thing")], ends=4404)]
        with pytest.raises(Turned) as refused:
            heard_from(gateway)
        assert "\x1b" not in str(refused.value)


class TestNobodyThere:
    def test_nobody_at_the_address_is_told_at_once(self) -> None:
        closed = listener()
        port = closed.getsockname()[1]
        closed.close()
        with pytest.raises(NothingAnswers, match=rf"Nothing answers at http://127.0.0.1:{port}\. Start Pressroom"):
            next(Following(Address(f"http://127.0.0.1:{port}"), ATTACH).frames())

    def test_somebody_else_at_the_address_is_told(self, gateway: Gateway) -> None:
        with pytest.raises(NotPressroom, match=r"does not speak as Pressroom does \(its websocket: HTTP 40\d\)"):
            next(Following(Address(f"{gateway.address}/elsewhere"), ATTACH).frames())
