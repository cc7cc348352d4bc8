"""T-47, T-48 and T-54: distinct errors for broken bodies, all in the one promised form."""

import pytest

from contract.asking import PATH, is_error, post
from processes import Running
from raw_http import ask, request_bytes

MISSING_QUOTE = b"""{
  "text":"What is your favorite condiment?",
  temperature":"1",
  "top_k":"10",
  "top_p":"0.9",
  "max_tokens":"32"
}"""
TRAILING_COMMA = b"""{
  "text":"What is your favorite condiment?",
  "temperature":"1",
  "top_k":"10",
  "top_p":"0.9",
  "max_tokens":"32",
  "stop_sequence": ".",
}"""


def test_t47_the_missing_quote_is_a_400_with_line_and_column(server: Running) -> None:
    answer = post(server.port, MISSING_QUOTE)
    assert is_error(answer, 400, "Malformed JSON request body", "line 3", "column 3")


def test_t47_the_example_works_when_it_is_mended(server: Running) -> None:
    assert post(server.port, MISSING_QUOTE.replace(b"temp", b'"temp')).status == 200


def test_t48_the_trailing_comma_is_a_400_with_line_and_column(server: Running) -> None:
    answer = post(server.port, TRAILING_COMMA)
    assert is_error(answer, 400, "Malformed JSON request body", "line ", "column ")


def test_t48_the_example_works_when_it_is_mended(server: Running) -> None:
    assert post(server.port, TRAILING_COMMA.replace(b'".",', b'"."')).status == 200


FAULTS = {
    "broken JSON": (request_bytes(PATH, b"{"), 400),
    "no object": (request_bytes(PATH, b"[]"), 400),
    "no body": (request_bytes(PATH, b""), 400),
    "a field that is not known": (request_bytes(PATH, {"text": "a", "max_token": 3}), 400),
    "a value out of range": (request_bytes(PATH, {"text": "a", "top_k": 0}), 400),
    "a prompt that is too long": (request_bytes(PATH, {"text": "a" * 20000}), 400),
    "another model": (request_bytes("/inference/gpt", {"text": "a"}), 404),
    "another path": (request_bytes("/nothing", {"text": "a"}), 404),
    "another method": (request_bytes(PATH, method="GET"), 405),
    "a body that is too large": (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n".encode(),
        413,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_t54_every_error_has_status_code_and_message(server: Running, fault: str) -> None:
    request, status = FAULTS[fault]
    assert is_error(ask(server.port, request), status)


def test_t54_errors_are_json_that_say_what_to_change(server: Running) -> None:
    answer = post(server.port, {"text": "a", "max_token": 3})
    assert answer.headers["content-type"] == "application/json"
    assert is_error(answer, 400, "max_token", "did you mean max_tokens?")
