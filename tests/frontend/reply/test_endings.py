"""How replies end on failure: cut or reported, and always with the row freed."""

import socket
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import pytest

from backend.driven import RecordedEngine
from processes import until
from rowcast.backend.decode_backend import Limits
from rowcast.errors import StreamCut
from rowcast.text.tokens.tokenizer import Decoder, ScriptedTokenizer

from ..serving import Served, error_of, lasting_seed, serving, spoken
from ..sessions.played import PATIENCE


def late_server() -> AbstractContextManager[Served]:
    """A server whose replies exceed their short time limit."""
    return serving(engine=RecordedEngine(step_seconds=0.01), limits=Limits(reply_seconds=0.15))


@pytest.mark.slow
def test_a_reply_that_fails_is_cut_not_ended() -> None:
    with late_server() as served:
        seed = lasting_seed("Hello", 500)
        asked: dict[str, Any] = {"text": "Hello", "seed": seed, "max_tokens": 2048}
        response = served.stream(**asked)
        read = bytearray()
        with pytest.raises(StreamCut, match="time limit"):
            read.extend(byte for chunk in response.iter_encoded() for byte in chunk)
        response.close()
        assert spoken("Hello", seed, 500).encode().startswith(read)


@pytest.mark.slow
def test_a_reply_that_fails_without_streaming_is_an_error() -> None:
    with late_server() as served:
        seed = lasting_seed("Hello", 500)
        response = served.post(text="Hello", seed=seed, max_tokens=2048, stream=False)
        assert response.status_code == 500
        assert response.get_json() == {
            "status_code": 500,
            "message": "the time limit (REPLY_SECONDS) passed",
        }


def test_a_stream_that_its_reader_leaves_is_cancelled(served: Served) -> None:
    seed = lasting_seed("Hello", 500)
    asked: dict[str, Any] = {"text": "Hello", "seed": seed, "max_tokens": 2048}
    response = served.stream(**asked)
    chunks = response.iter_encoded()
    assert next(chunks) == b""
    response.close()
    served.await_idle()


@pytest.mark.slow
def test_a_client_that_goes_ends_its_reply_though_nobody_writes_to_it() -> None:
    with serving(engine=RecordedEngine(rows=1, step_seconds=0.01)) as served:
        client, connection = socket.socketpair()
        with client, connection:
            asked: dict[str, Any] = {
                "text": "Hello",
                "seed": lasting_seed("Hello", 500),
                "max_tokens": 2048,
            }
            response = served.stream(client=connection, **asked)
            client.close()
            until(lambda: served.backend.idle, "the row is free", PATIENCE)
            with pytest.raises(StreamCut, match="the client went away"):
                list(response.iter_encoded())
            response.close()


def test_a_stream_that_is_open_when_the_server_stops_is_finished() -> None:
    with serving(engine=RecordedEngine(step_seconds=0.005)) as served:
        asked: dict[str, Any] = {"text": "Hello", "seed": 3, "max_tokens": 20}
        response = served.stream(**asked)
        served.frontend.stop()
        served.backend.stop()
        assert response.text == spoken("Hello", 3, 20)
        response.close()


class FailingDecoder:
    """A decoder that breaks in the middle of a reply."""

    def feed(self, tokens: Sequence[int]) -> str:
        raise RuntimeError("cannot decode")

    def finish(self) -> str:
        return ""


class UndecodableTokenizer(ScriptedTokenizer):
    def decoder(self) -> Decoder:  # type: ignore[override]
        return FailingDecoder()


def test_a_stream_that_breaks_on_our_side_frees_its_row() -> None:
    with serving(tokenizer=UndecodableTokenizer()) as served:
        response = served.stream(text="Hi")
        with pytest.raises(RuntimeError, match="cannot decode"):
            list(response.iter_encoded())
        response.close()
        served.await_idle()
        assert error_of(served.post(text="Hi", stream=False), 500)


@pytest.mark.slow
@pytest.mark.parametrize("waiting", [0, 2])
def test_a_full_server_refuses_at_once_and_says_when_to_come_back(waiting: int) -> None:
    engine = RecordedEngine(rows=1, step_seconds=0.01)
    with serving(engine=engine, limits=Limits(waiting=waiting)) as served:
        asked: dict[str, Any] = {
            "text": "Hello",
            "seed": lasting_seed("Hello", 500),
            "max_tokens": 2048,
        }
        streams = [served.stream(**asked) for _ in range(1 + waiting)]
        response = served.post(**asked)
        assert response.status_code == 503
        assert set(response.get_json()) == {"status_code", "message"}
        assert int(response.headers["Retry-After"]) >= 1
        for stream in streams:
            stream.close()


def test_a_connection_that_is_kept_serves_one_request_after_another(served: Served) -> None:
    client, connection = socket.socketpair()
    with client, connection:
        for seed in range(3):
            response = served.stream(client=connection, text="Hello", seed=seed, max_tokens=20)
            assert response.text == spoken("Hello", seed, 20)
            response.close()
