"""Requests of the contract tests: one native request, and the required answer."""

from raw_http import Answer, ask, request_bytes
from scripted_replies import scripted_reply

PATH = "/inference/falcon40b"


def post(port: int, body: object, path: str = PATH, **headers: str) -> Answer:
    """Send one request; headers are keywords: `X_Request_ID="a"`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(port, request_bytes(path, body, headers=named))


def get(port: int, path: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(port, request_bytes(path, method="GET", headers=named))


def is_error(answer: Answer, status: int, *words: str) -> bool:
    """Check that it is an error of the promised form whose message contains all of `words`."""
    assert answer.status == status, answer.text
    body = answer.json()
    assert set(body) == {"status_code", "message"}
    assert body["status_code"] == status
    missing = [word for word in words if word not in body["message"]]
    assert not missing, f"{body['message']!r} lacks {missing}"
    return True


def serves(port: int) -> bool:
    """Check that the native dialect works: a complete reply, every byte as computed."""
    answer = post(port, {"text": "Hello", "seed": 11, "max_tokens": 12})
    assert answer.status == 200, answer.text
    return answer.whole and answer.text == scripted_reply("Hello", 11, 12).text
