"""F-02, F-04 to F-06: FlexFlow's small API, `/generate/` with a prompt."""

from pathlib import Path

import pytest

from contract.asking import get, post
from contract.conftest import Stack
from processes import Running, running_server, until
from raw_http import ask, request_bytes
from scripted_replies import scripted_reply

PROMPT = "Three tips for staying healthy are:\n"
SEED = 5
REPLY = scripted_reply(PROMPT, SEED, 16)


@pytest.mark.parametrize("prompt", [None, 3, True, ["a"], {"a": "b"}, ""])
def test_f02_a_prompt_that_is_missing_or_no_string_is_refused(
    server: Running, prompt: object
) -> None:
    for path in ("/generate", "/generate/"):
        answer = post(server.port, {} if prompt is None else {"prompt": prompt}, path)
        assert answer.status == 400
        assert "prompt" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/generate/", "/generate"])
def test_f04_it_is_answered_with_and_without_the_slash_and_never_redirected(
    server: Running, stack: Stack, path: str
) -> None:
    """By the server, and through its proxy."""
    body = {"prompt": PROMPT, "seed": SEED}
    answers = [
        post(server.port, body, path),
        post(stack.proxy.port, body, path, Authorization=stack.authorization),
    ]
    for answer in answers:
        assert answer.status == 200, answer.text
        assert "location" not in answer.headers
        assert answer.json()["response"] == REPLY.text


def test_f05_the_answer_has_the_prompt_and_the_completion_only(server: Running) -> None:
    answer = post(server.port, {"prompt": PROMPT, "seed": SEED}, "/generate/").json()
    assert (answer["prompt"], answer["response"]) == (PROMPT, REPLY.text)


@pytest.mark.slow
def test_f06_while_no_model_is_ready_it_is_a_503(tmp_path: Path) -> None:
    """Its decoder is suspended, so it reports nothing."""
    with running_server(tmp_path, env={"STALL_SECONDS": "60", "SILENCE_SECONDS": "1"}) as server:
        decoder = server.backend()
        decoder.suspend()
        try:
            until(lambda: get(server.port, "/readiness").status == 503, "it is not ready")
            answer = post(server.port, {"prompt": PROMPT}, "/generate/")
        finally:
            decoder.resume()
        assert answer.status == 503
        assert answer.headers["retry-after"]
        assert answer.json()["detail"] == answer.json()["message"]


def test_f04_a_get_is_refused_and_not_redirected(server: Running) -> None:
    for path in ("/generate", "/generate/"):
        answer = ask(server.port, request_bytes(path, method="GET"))
        assert (answer.status, "location" in answer.headers) == (405, False)
