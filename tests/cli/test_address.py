"""Where the command looks for Pressroom, and what it says where nothing is."""

from pathlib import Path

import pytest
from starlette.responses import HTMLResponse

from cli.address import USUAL, Address, BadAddress, NothingRunsThere, find_address
from cli.failures import CannotBeDone
from cli.press import NothingAnswers, NotPressroom, Press, Refused
from local.state import DataDirectory
from tests.cli.gateway import Gateway, problem
from tests.listening import listener


def unused() -> Address:
    closed = listener()
    port = closed.getsockname()[1]
    closed.close()
    return Address(f"http://127.0.0.1:{port}")


class TestWhereItIs:
    def test_what_is_said_beats_the_environment(self) -> None:
        found = find_address("http://said", None, {"PRESSROOM_URL": "http://set"})
        assert (found.url, found.option) == ("http://said", " --url http://said")

    def test_the_environment_beats_what_runs_here(self) -> None:
        assert find_address(None, None, {"PRESSROOM_URL": "https://set/press/"}).url == "https://set/press"

    def test_a_data_directory_that_is_named_beats_the_environment(self, tmp_path: Path) -> None:
        with DataDirectory(tmp_path).held("http://127.0.0.1:9000"):
            found = find_address(None, tmp_path, {"PRESSROOM_URL": "http://set"})
        assert (found.url, found.option) == ("http://127.0.0.1:9000", f" --data {tmp_path}")

    @pytest.mark.parametrize(("listens", "found"), [("0.0.0.0:8000", "127.0.0.1:8000"), ("[::]:8000", "[::1]:8000")])
    def test_who_listens_everywhere_is_found_here(self, tmp_path: Path, listens: str, found: str) -> None:
        with DataDirectory(tmp_path).held(f"http://{listens}"):
            assert find_address(None, tmp_path, {}).url == f"http://{found}"

    def test_a_data_directory_on_which_nothing_runs_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(NothingRunsThere, match=f"Nothing runs on the data directory {tmp_path}; `./run up --data"):
            find_address(None, tmp_path, {})

    def test_else_it_is_the_usual_address(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cli.address.DATA", tmp_path)
        assert find_address(None, None, {}).url == USUAL

    @pytest.mark.parametrize("wrong", ["", "press", "ftp://press", "http://", "http://press:99999", "http://press?a=1"])
    def test_what_is_no_address_is_refused(self, wrong: str) -> None:
        with pytest.raises(BadAddress, match="is no address of a server"):
            find_address(wrong, None, {})

    @pytest.mark.parametrize(
        ("url", "socket"), [("http://press:1", "ws://press:1/content"), ("https://a/b", "wss://a/b/content")]
    )
    def test_the_websocket_is_beside_it(self, url: str, socket: str) -> None:
        assert Address(url).socket == socket

    def test_a_password_in_it_is_never_shown(self) -> None:
        assert Address("https://me:secret@press:1/x").shown == "https://press:1/x"

    @pytest.mark.parametrize(
        ("url", "is_near"), [("http://127.0.0.1:1", True), ("http://[::1]:1", True), ("http://press.example", False)]
    )
    def test_no_proxy_leads_to_this_machine(self, url: str, is_near: bool) -> None:
        assert Address(url).is_near == is_near

    @pytest.mark.parametrize("wrong", ["http://a\x1bb", "http://ä..b"])
    def test_what_only_looks_like_an_address_is_refused_too(self, wrong: str) -> None:
        with pytest.raises(BadAddress, match="is no address of a server"):
            Press(Address(wrong))


class TestWhoAnswers:
    def test_nobody_is_told_with_the_address_and_what_to_do(self) -> None:
        address = unused()
        with Press(address) as press, pytest.raises(NothingAnswers) as wrong:
            press.get("/workflows")
        assert str(wrong.value) == (
            f"Nothing answers at {address.url}. Start Pressroom with `./run`, or name where it runs with --url, "
            "--data or PRESSROOM_URL."
        )

    def test_a_start_under_way_is_told(self) -> None:
        address = Address(unused().url, is_starting=True)
        with Press(address) as press, pytest.raises(NothingAnswers, match="is still starting; try again"):
            press.get("/workflows")

    def test_a_refusal_is_told_in_the_servers_words(self, gateway: Gateway) -> None:
        gateway.answers = {"/workflows": problem(422, "limit: is too large\x1b[2J", "bad-request")}
        with Press(Address(gateway.address)) as press, pytest.raises(Refused) as wrong:
            press.get("/workflows")
        assert (wrong.value.status, wrong.value.code) == (422, "bad-request")
        assert "\x1b" not in str(wrong.value)

    def test_somebody_else_is_told(self, gateway: Gateway) -> None:
        for gateway.workflow in ([], {"hello": "world"}):
            with Press(Address(gateway.address)) as press, pytest.raises(NotPressroom, match="does not speak as Press"):
                press.get("/workflows", "items")

    def test_what_is_no_json_is_somebody_else(self, gateway: Gateway) -> None:
        gateway.answers = {"/workflows": HTMLResponse("<h1>Hello</h1>")}
        with Press(Address(gateway.address)) as press, pytest.raises(NotPressroom, match="does not speak as Pressroom"):
            press.get("/workflows")

    def test_every_failure_of_the_conversation_is_a_sentence(self) -> None:
        assert all(issubclass(kind, CannotBeDone) for kind in (NothingAnswers, NotPressroom, Refused))
