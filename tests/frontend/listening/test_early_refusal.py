"""Early refusal: only requests that a full waiting line would reject are refused at accept time.

Covers `listener`.
"""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from frontend.serving import frontend_of
from frontend.sessions.played import STATUS, road
from rowcast.frontend.listening.early_refusal import LOOK, FullLineRefusal, parse_plain
from rowcast.wire import LITTLE_ROOM, Status, TeamRoom

BODY = b'{"text": "Hello"}'
FULL = replace(STATUS, seated=32, waiting=4, room=0, retry_after=7)


def request(
    start: bytes = b"POST /inference/falcon40b HTTP/1.1",
    *fields: bytes,
    body: bytes = BODY,
    length: int | None = None,
) -> bytes:
    announced = b"Content-Length: %d" % (len(body) if length is None else length)
    return b"\r\n".join([start, b"Host: localhost", announced, *fields, b"", body])


ROWS = [
    "/",
    "/inference/falcon40b",
    "/predictions/any-name",
    "/chat/falcon40b",
    "/v1/completions",
    "/v1/chat/completions",
    "/v1/replay",
    "/v1/messages",
]


@pytest.mark.parametrize("path", ROWS)
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_request_for_rows_is_known(path: str, version: bytes) -> None:
    plain = parse_plain(request(b"POST %s HTTP/%s" % (path.encode(), version)))
    assert plain is not None
    assert plain.path == path


@pytest.mark.parametrize(
    "body",
    [
        b'{"input": "a", "background": false}',
        b'{"input": "\\"background\\": true"}',
        b'{"input": "a"}',
    ],
)
@pytest.mark.parametrize("path", [b"/v1/responses", b"/responses"])
def test_a_response_that_is_read_needs_rows_now(path: bytes, body: bytes) -> None:
    assert parse_plain(request(b"POST %s HTTP/1.1" % path, body=body)) is not None


def test_no_other_path_stores_what_its_body_says() -> None:
    body = b'{"prompt": "a", "background": true}'
    assert parse_plain(request(b"POST /v1/completions HTTP/1.1", body=body)) is not None


def test_its_id_is_kept() -> None:
    plain = parse_plain(request(b"POST / HTTP/1.1", b"x-request-id:  mine "))
    assert plain is not None
    assert plain.request_id == "mine"


@pytest.mark.parametrize("sent", [b"X-Request-ID: two words", b"X-Request-ID: \xff", b"X: none"])
def test_without_a_sound_id_it_gets_one(sent: bytes) -> None:
    plain = parse_plain(request(b"POST / HTTP/1.1", sent))
    assert plain is not None
    assert len(plain.request_id) == 32


PROOF = b"X-Rowcast-Proxy-Secret: between us"
TEAM = b"X-Rowcast-Team: caf%C3%A9"


def test_its_team_is_that_for_which_the_proxy_vouches() -> None:
    plain = parse_plain(request(b"POST / HTTP/1.1", PROOF, TEAM), "between us")
    assert plain is not None
    assert plain.team == "caf\u00e9"


@pytest.mark.parametrize("secret", [None, "", "another"])
def test_without_the_secret_it_has_no_team(secret: str | None) -> None:
    for fields in ([TEAM], [PROOF, TEAM]):
        plain = parse_plain(request(b"POST / HTTP/1.1", *fields), secret)
        assert plain is not None
        assert plain.team == ""


OTHERS = {
    "nothing": b"",
    "less than a head": request()[:30],
    "a body that has not all come": request()[:-1],
    "more than one request": request() + request(),
    "another method": request(b"GET /v1/completions HTTP/1.1"),
    "what takes no row": request(b"POST /v1/tokenize HTTP/1.1"),
    "a path that nothing is served at": request(b"POST /inference HTTP/1.1"),
    "a query": request(b"POST /?a=b HTTP/1.1"),
    "an escaped path": request(b"POST /inference/%66 HTTP/1.1"),
    "slashes to be merged": request(b"POST //inference/falcon40b HTTP/1.1"),
    "another protocol": request(b"POST / HTTP/2"),
    "one who may ask again": request(b"POST / HTTP/1.1", b"idempotency-KEY: mine"),
    "a body in chunks": request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked"),
    "a coded body": request(b"POST / HTTP/1.1", b"Content-Encoding: gzip"),
    "who waits to be asked in": request(b"POST / HTTP/1.1", b"Expect: 100-continue"),
    "a header in two lines": request(b"POST / HTTP/1.1", b"X: a", b" b"),
    "no header": request(b"POST / HTTP/1.1", b"words"),
    "a line end alone": request(b"POST / HTTP/1.1", b"X: a\nIdempotency-Key: b"),
    "a length that says otherwise": request(length=3),
    "two lengths": request(b"POST / HTTP/1.1", b"Content-Length: 17"),
    "two teams": request(b"POST / HTTP/1.1", PROOF, TEAM, TEAM),
    "no host": request().replace(b"Host", b"Hast"),
    "a response for later": request(
        b"POST /v1/responses HTTP/1.1", body=b'{"input": "a", "background" : true}'
    ),
    "bytes": bytes(range(256)),
}


@pytest.mark.parametrize("which", OTHERS)
def test_anything_else_is_not_judged_here(which: str) -> None:
    assert parse_plain(OTHERS[which]) is None


@contextmanager
def arriving(sent: bytes) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client that has sent these bytes, and the server's end."""
    client, served = socket.socketpair()
    with client, served:
        client.settimeout(10)
        client.sendall(sent)
        yield client, served


@contextmanager
def refusal(status: Status = FULL, *, stopping: bool = False) -> Iterator[FullLineRefusal]:
    with road() as made:
        made.ready(status)
        frontend = frontend_of(made.sessions)
        if stopping:
            frontend.stop()
        yield FullLineRefusal(frontend, "between us")


def all_of(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(LOOK), b""))


@pytest.mark.parametrize(
    ("path", "form"),
    [
        (b"/chat/falcon40b", {"status_code", "message"}),
        (b"/v1/completions", {"error"}),
    ],
)
def test_a_full_line_is_told_in_the_form_of_the_dialect(path: bytes, form: set[str]) -> None:
    asked = request(b"POST %s HTTP/1.1" % path, b"X-Request-ID: mine")
    with refusal() as made, arriving(asked) as (client, served):
        assert made.refuses(served)
        served.close()
        head, _, body = all_of(client).partition(b"\r\n\r\n")
    assert set(json.loads(body)) == form
    assert b"4 prompts are waiting, which is the limit" in body
    status, *fields = head.decode().split("\r\n")
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert set(fields) == {
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Retry-After: 7",
        "X-Request-ID: mine",
    }


def test_a_full_line_is_529_to_clients_of_anthropic() -> None:
    asked = request(b"POST /v1/messages HTTP/1.1", b"X-Request-ID: mine")
    with refusal() as made, arriving(asked) as (client, served):
        assert made.refuses(served)
        served.close()
        head, _, body = all_of(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 529 Overloaded\r\n")
    assert b"request-id: mine" in head
    assert json.loads(body) == {
        "type": "error",
        "error": {
            "type": "overloaded_error",
            "message": "4 prompts are waiting, which is the limit; try again later",
        },
        "request_id": "mine",
    }


@pytest.mark.parametrize("which", OTHERS)
def test_anything_else_passes_with_all_that_was_sent(which: str) -> None:
    with refusal() as made, arriving(OTHERS[which]) as (client, served):
        assert not made.refuses(served)
        assert served.getblocking()
        client.shutdown(socket.SHUT_WR)
        assert all_of(served) == OTHERS[which]


@pytest.mark.parametrize("room", [1, LITTLE_ROOM, 1 << 30])
def test_where_there_is_room_every_request_passes(room: int) -> None:
    with refusal(replace(FULL, room=room)) as made, arriving(request()) as (_, served):
        assert not made.refuses(served)
        assert served.recv(LOOK) == request()


def test_room_is_that_of_the_request_s_team() -> None:
    crowded = replace(FULL, room=2, team_rooms=(TeamRoom("busy", 0, 4),))
    busy = request(b"POST / HTTP/1.1", PROOF, b"X-Rowcast-Team: busy")
    other = request(b"POST / HTTP/1.1", PROOF, b"X-Rowcast-Team: other")
    claimed = request(b"POST / HTTP/1.1", b"X-Rowcast-Team: busy")
    with refusal(crowded) as made:
        for sent, refused in ((busy, True), (other, False), (claimed, False)):
            with arriving(sent) as (_, served):
                assert made.refuses(served) == refused


def test_accepted_requests_take_room_of_their_own_team_only() -> None:
    a, b = (request(b"POST / HTTP/1.1", PROOF, b"X-Rowcast-Team: " + name) for name in (b"a", b"b"))
    with (
        refusal(replace(FULL, room=1)) as made,
        arriving(a) as (_, first),
        arriving(a) as (_, second),
        arriving(b) as (_, other),
    ):
        assert [made.refuses(each) for each in (first, second, other)] == [False, True, False]
        made.stop_counting(first)
        assert not made.refuses(second)


def test_while_the_server_stops_nothing_is_refused_early() -> None:
    with refusal(stopping=True) as made, arriving(request()) as (_, served):
        assert not made.refuses(served)


def test_a_client_that_has_left_is_refused_without_an_answer() -> None:
    with refusal() as made, arriving(request()) as (client, served):
        client.close()
        assert made.refuses(served)


def test_the_line_is_that_of_the_model_in_the_path_or_the_body() -> None:
    with road() as full, road() as free:
        full.ready(FULL)
        free.ready()
        made = FullLineRefusal(frontend_of(free.sessions, busy=full.sessions), "between us")
        for path, body, refused in (
            (b"/inference/busy", BODY, True),
            (b"/inference/scripted", BODY, False),
            (b"/", BODY, False),
            (b"/v1/completions", b'{"model": "busy", "prompt": "Hi"}', True),
            (b"/v1/completions", b'{"prompt": "Hi", "model": "scripted"}', False),
            (b"/v1/completions", b'{"model": "nobody", "prompt": "Hi"}', False),
            (b"/v1/completions", b'{"model": "busy", "prompt": ', False),
        ):
            with arriving(request(b"POST %s HTTP/1.1" % path, body=body)) as (_, served):
                assert made.refuses(served) == refused, (path, body)
