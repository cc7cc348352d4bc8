"""A request with JSON, to real sockets: answers, refusals in each form, and no answer at all."""

from __future__ import annotations

import json

import pytest

from http_client.json_server import JsonServer, Refused, Unreachable
from json_responder import responding
from processes import free_port


def at(url: str, token: str | None = None) -> JsonServer:
    return JsonServer(url=url, token=token, seconds=20, agent="rowcast-test")


def echo(method: str, path: str, body: bytes) -> tuple[int, bytes]:
    return 200, json.dumps([method, path, body.decode()]).encode()


def test_a_request_carries_fields_and_token() -> None:
    with responding(echo) as (url, received):
        assert at(f"{url}/", "Bearer abc").get("/models") == ["GET", "/models", ""]
        assert at(url, "abc").post("/x", {"a": "é"}) == ["POST", "/x", '{"a":"\\u00e9"}']
        at(url).get("/")
    assert [each.get("Authorization") for each in received] == ["Bearer abc", "Bearer abc", None]
    assert [each.get("Content-Type") for each in received] == [None, "application/json", None]
    assert {each["User-Agent"] for each in received} == {"rowcast-test"}


def test_the_token_is_not_shown() -> None:
    assert "abc" not in repr(at("http://127.0.0.1", "abc"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "no"}}', "403: no"),
        (b'{"status_code": 403, "message": "no"}', "403: no"),
        (b'{"error": "no"}', '403: {"error": "no"}'),
        (b"[]", "403: []"),
        (b"\xff", "403: \ufffd"),
        (b"<" * 1000, "403: " + "<" * 200),
    ],
)
def test_a_refusal_has_its_sentence(body: bytes, message: str) -> None:
    with responding(lambda *_: (403, body)) as (url, _), pytest.raises(Refused) as caught:
        at(url).get("/")
    assert (str(caught.value), caught.value.status) == (message, 403)


def test_a_server_that_does_not_answer_is_named() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable, match=f"{nobody} does not answer: .*refused"):
        at(nobody).get("/")
    with responding(lambda *_: (200, b"<html>")) as (url, _), pytest.raises(Unreachable):
        at(url).get("/")
