"""Nothing may take forever: replies, bodies and headers have deadlines, and then get an answer."""

from collections.abc import Iterator

import pytest

from processes import Running, running_server, until
from raw_http import Client, ask, request_bytes
from reliability.streams import PATH, works
from scripted_replies import long_reply

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A slow model behind a server with short limits."""
    env = {
        "STEP_SECONDS": "0.05",
        "REPLY_SECONDS": "1",
        "BODY_SECONDS": "1",
        "HEADER_SECONDS": "1",
    }
    with running_server(tmp_path_factory.mktemp("hasty"), env=env) as running:
        yield running


@pytest.fixture
def long_body() -> dict[str, object]:
    text = "A long one. "
    return {"text": text, "seed": long_reply(text), "max_tokens": 2048}


def test_a_raw_stream_that_takes_too_long_is_cut(
    hasty: Running, long_body: dict[str, object]
) -> None:
    answer = ask(hasty.port, request_bytes(PATH, long_body))
    assert answer.status == 200
    assert answer.body
    assert not answer.whole


def test_a_chat_stream_that_takes_too_long_says_so(
    hasty: Running, long_body: dict[str, object]
) -> None:
    answer = ask(hasty.port, request_bytes("/chat/scripted", long_body))
    assert answer.whole
    last = answer.text.rstrip().rpartition("\n\n")[2]
    assert last.startswith("event: error\n")
    assert "time limit" in last


def test_a_whole_reply_that_takes_too_long_is_an_error(
    hasty: Running, long_body: dict[str, object]
) -> None:
    answer = ask(hasty.port, request_bytes(PATH, long_body | {"stream": False}))
    assert answer.status == answer.json()["status_code"] == 500
    assert "time limit" in answer.json()["message"]


def test_no_row_is_left_behind_by_late_replies(hasty: Running) -> None:
    until(lambda: hasty.rows_seated() == 0, "all rows are free")
    assert works(hasty.port)


@pytest.mark.parametrize("beginning", [b"", b'{"text": "never '])
def test_a_slow_body_is_answered_408(hasty: Running, beginning: bytes) -> None:
    head = request_bytes(PATH, b"x" * 100).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    with Client(hasty.port) as client:
        answer = client.send(head + beginning).finish()
    assert answer.status == answer.json()["status_code"] == 408
    assert "within 1 s" in answer.json()["message"]


@pytest.mark.parametrize("beginning", [b"", b"POST /inf", b"POST / HTTP/1.1\r\nHost: a\r\nX: "])
def test_slow_headers_end_the_connection(hasty: Running, beginning: bytes) -> None:
    with Client(hasty.port) as client:
        assert client.send(beginning).closed_by_server()


def test_an_idle_connection_is_closed(hasty: Running) -> None:
    request = b"GET /liveness HTTP/1.1\r\nHost: a\r\n\r\n"
    with Client(hasty.port) as client:
        assert client.send(request).closed_by_server()
        assert client.so_far().status == 200
