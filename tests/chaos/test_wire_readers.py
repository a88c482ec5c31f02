"""The readers of the wire: which moments they see in the bytes, however these are cut; and that they pass all on."""

import hashlib
import json
import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.wire.http import HttpTalk
from chaos.wire.moments import Moment, Point
from chaos.wire.nats import NatsTalk, Seen, without_other_servers
from chaos.wire.postgres import PostgresTalk
from chaos.wire.proxy import Talk
from contracts.subjects import EventSubject, WorkflowKey

KEY = WorkflowKey("local", "w1")
SUBJECT = str(EventSubject(KEY, "writer", "blog-written", 3))
BODY = b'{"type": "blog-written"}'
NAME = re.compile(rb"X-Client-Request-Id: [^\r]*\r\n")
CUTS = st.lists(st.integers(min_value=1, max_value=40), max_size=40)


def publish(subject: str, body: bytes, *, reply: str = "", headers: dict[str, str] | None = None) -> bytes:
    """PUB, or HPUB with headers."""
    if headers is None:
        return f"PUB {subject} {reply} {len(body)}\r\n".encode() + body + b"\r\n"
    head = ("NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode()
    return f"HPUB {subject} {reply} {len(head)} {len(head) + len(body)}\r\n".encode() + head + body + b"\r\n"


def message(subject: str, body: bytes, *, reply: str = "") -> bytes:
    """MSG."""
    return f"MSG {subject} 7 {reply} {len(body)}\r\n".encode() + body + b"\r\n"


APPEND = publish(SUBJECT, BODY, reply="_INBOX_writer.a.1", headers={"ce-id": "e1"})
PULL = publish("$JS.API.CONSUMER.MSG.NEXT.WORKFLOW.writer", b"{}", reply="_INBOX_writer.b")
ACK = publish("$JS.ACK.WORKFLOW.writer.1.2.3.4.5", b"+ACK")


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """The bytes in pieces of these lengths, and the rest."""
    pieces: list[bytes] = []
    for length in cuts:
        pieces.append(data[:length])
        data = data[length:]
    return [piece for piece in (*pieces, data) if piece]


def seen(passed: list[Seen]) -> tuple[bytes, list[Moment]]:
    """All bytes that were passed on, and all moments."""
    pieces = [piece for one in passed for piece in one]
    return b"".join(data for data, _ in pieces), [moment for _, moment in pieces if moment]


def said(talk: Talk, data: bytes, cuts: list[int] | None = None) -> list[Moment]:
    """The moments in what a process says; all of it is passed on, with a name for each call."""
    passed, moments = seen([talk.said(piece) for piece in cut(data, cuts or [])])
    assert NAME.sub(b"", passed) == data
    return moments


def told(talk: Talk, data: bytes, cuts: list[int] | None = None) -> list[Moment]:
    """The moments in what a process is told; all of it is passed on."""
    passed, moments = seen([talk.told(piece) for piece in cut(data, cuts or [])])
    assert passed == data
    return moments


def points(moments: list[Moment]) -> list[Point]:
    return [moment.point for moment in moments]


class TestNats:
    @given(CUTS)
    def test_appends_pulls_and_acks_are_seen_however_they_are_cut(self, cuts: list[int]) -> None:
        talk = b'CONNECT {"user":"writer"}\r\nPING\r\n' + PULL + APPEND + ACK + b"SUB live.> 4\r\n"
        moments = said(NatsTalk("writer-1"), talk, cuts)
        assert points(moments) == [Point.PULLING, Point.APPENDING, Point.SETTLING]

    def test_an_append_tells_its_event_its_id_and_the_hash_of_its_body(self) -> None:
        (moment,) = said(NatsTalk("writer-1"), APPEND)
        expected = {"subject": SUBJECT, "event": "blog-written", "ce_id": "e1"}
        assert moment.about == expected | {"sha256": hashlib.sha256(BODY).hexdigest()}

    @given(CUTS)
    def test_the_answer_to_an_append_tells_its_position(self, cuts: list[int]) -> None:
        talk = NatsTalk("writer-1")
        said(talk, APPEND)
        (moment,) = told(talk, message("_INBOX_writer.a.1", b'{"stream":"WORKFLOW","seq":17}'), cuts)
        assert (moment.point, moment.about["position"]) == (Point.STORED, 17)
        assert talk.unanswered() == []

    def test_a_refusal_is_no_success_although_it_names_a_position(self) -> None:
        talk = NatsTalk("writer-1")
        said(talk, APPEND)
        refusal = {"error": {"err_code": 10071, "description": "wrong last sequence"}, "stream": "WORKFLOW", "seq": 0}
        (moment,) = told(talk, message("_INBOX_writer.a.1", json.dumps(refusal).encode()))
        assert (moment.point, moment.about["error"]) == (Point.REFUSED, "10071 wrong last sequence")

    def test_an_append_that_nobody_listens_to_is_refused(self) -> None:
        talk = NatsTalk("writer-1")
        said(talk, APPEND)
        status = b"NATS/1.0 503\r\n\r\n"
        frame = f"HMSG _INBOX_writer.a.1 7 {len(status)} {len(status)}\r\n".encode() + status + b"\r\n"
        assert points(told(talk, frame)) == [Point.REFUSED]

    def test_an_append_without_an_answer_is_left_over_in_the_end(self) -> None:
        talk = NatsTalk("writer-1")
        said(talk, APPEND)
        assert [append["ce_id"] for append in talk.unanswered()] == ["e1"]

    def test_a_delivery_is_told_from_an_answer_and_from_a_live_event(self) -> None:
        delivery = message(SUBJECT, BODY, reply="$JS.ACK.WORKFLOW.writer.1.2.3.4.5")
        live = message(f"live.{SUBJECT}", BODY)
        assert points(told(NatsTalk("writer-1"), delivery + live)) == [Point.DELIVERED]

    def test_a_sign_of_life_is_no_settlement(self) -> None:
        moments = said(NatsTalk("writer-1"), publish("$JS.ACK.WORKFLOW.writer.1.2.3.4.5", b"+WPI"))
        assert points(moments) == [Point.IN_PROGRESS]

    def test_the_addresses_of_other_servers_are_kept_from_the_process(self) -> None:
        info = b'INFO {"server_id":"a","connect_urls":["127.0.0.1:4222"]}\r\n'
        assert json.loads(without_other_servers(info)[5:]) == {"server_id": "a"}


CALL = b"POST /v1/responses HTTP/1.1\r\nHost: m\r\nContent-Length: 11\r\n\r\n" + b'{"input":1}'
STREAMED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


class TestHttp:
    @given(CUTS)
    def test_a_call_is_seen_when_all_of_it_was_sent(self, cuts: list[int]) -> None:
        assert points(said(HttpTalk("writer-1"), CALL + CALL, cuts)) == [Point.CALLING, Point.CALLING]

    @given(CUTS, st.sampled_from([STREAMED, WHOLE]))
    def test_an_answer_is_seen_at_its_beginning_and_at_its_end(self, cuts: list[int], answer: bytes) -> None:
        talk = HttpTalk("writer-1")
        said(talk, CALL + CALL)
        once = [Point.ANSWERING, Point.ANSWERED]
        assert points(told(talk, answer + answer, cuts)) == once * 2

    def test_each_call_has_a_name_of_its_own_by_which_the_model_and_its_answer_are_told(self) -> None:
        talk = HttpTalk("writer-1")
        passed, moments = seen([talk.said(CALL + CALL)])
        names = [moment.about["call"] for moment in moments]
        assert len(set(names)) == 2 and all(name.startswith("writer-1.") for name in names)
        assert NAME.findall(passed) == [f"X-Client-Request-Id: {name}\r\n".encode() for name in names]
        assert [moment.about["call"] for moment in told(talk, WHOLE + STREAMED)] == [names[0]] * 2 + [names[1]] * 2

    def test_an_upload_is_seen_when_it_begins_and_when_it_is_stored(self) -> None:
        talk = HttpTalk("illustrator-1", is_store=True)
        upload = b"PUT /pressroom/images/a.png HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
        assert points(said(talk, upload)) == [Point.UPLOADING]
        (moment,) = told(talk, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert (moment.point, moment.about["path"]) == (Point.UPLOADED, "/pressroom/images/a.png")

    @given(CUTS)
    def test_an_object_is_seen_when_the_last_of_it_comes(self, cuts: list[int]) -> None:
        talk = HttpTalk("gateway-1", is_store=True)
        said(talk, b"GET /pressroom/images/a.png HTTP/1.1\r\nHost: s\r\n\r\n")
        (moment,) = told(talk, WHOLE, cuts)
        assert (moment.point, moment.about["path"]) == (Point.FETCHED, "/pressroom/images/a.png")

    def test_an_object_that_is_not_there_is_not_seen(self) -> None:
        talk = HttpTalk("gateway-1", is_store=True)
        said(talk, b"GET /pressroom/a HTTP/1.1\r\n\r\n")
        assert told(talk, b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno") == []

    @pytest.mark.parametrize("request_line", [b"GET /pressroom/a", b"PUT /pressroom/a"])
    def test_what_is_not_stored_is_no_upload(self, request_line: bytes) -> None:
        talk = HttpTalk("illustrator-1", is_store=True)
        said(talk, request_line + b" HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        assert told(talk, b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n") == []


def query(sql: str) -> bytes:
    """A simple query of Postgres's protocol."""
    return b"Q" + struct.pack("!I", len(sql) + 5) + sql.encode() + b"\0"


TLS = struct.pack("!II", 8, 80877103)
STARTUP = struct.pack("!II", 8 + 5, 196608) + b"user\0"


class TestPostgres:
    @given(CUTS)
    def test_a_commit_is_seen_behind_a_greeting(self, cuts: list[int]) -> None:
        talk = TLS + STARTUP + query("BEGIN;") + query("SELECT 'COMMIT'") + query("COMMIT;")
        assert points(said(PostgresTalk("projector-1"), talk, cuts)) == [Point.BEFORE_COMMIT, Point.COMMITTING]
