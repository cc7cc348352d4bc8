"""T-49 to T-53: the routes, and the forms of a reply."""

import json

import pytest

from contract.asking import is_error, post
from processes import Running
from scripted_replies import scripted_reply

TEXT = "Where is Paris?"
SEED = 4
BODY = {"text": TEXT, "seed": SEED, "max_tokens": 32}
REPLY = scripted_reply(TEXT, SEED, 32)


@pytest.mark.parametrize(
    "path",
    [
        "/predictions/falcon40b",
        "/inference/falcon40b",
        "/predictions/scripted",
        "/inference/scripted",
        "/",
    ],
)
def test_t49_predictions_inference_and_the_root_answer_raw_text(server: Running, path: str) -> None:
    assert post(server.port, BODY, path).text == REPLY.text


def test_t49_chat_answers_server_sent_events(server: Running) -> None:
    answer = post(server.port, BODY, "/chat/falcon40b")
    assert answer.headers["content-type"].startswith("text/event-stream")
    *events, end = answer.text.rstrip().split("\n\n")
    pieces = [event.splitlines() for event in events if event.startswith("id: ")]
    told = [int(lines[0].removeprefix("id: ").rstrip("r")) for lines in pieces]
    assert told == sorted(set(told))  # how many tokens a reader has after each
    assert told[-1] == 32
    texts = [json.loads(lines[1].removeprefix("data: "))["text"] for lines in pieces]
    assert "".join(texts) == REPLY.text
    kind, data = end.splitlines()
    assert kind == "event: end"
    assert json.loads(data.removeprefix("data: ")) == {
        "finish_reason": "length",
        "prompt_tokens": len(TEXT),
        "cached_tokens": 0,
        "completion_tokens": 32,
        "seed": SEED,
    }


def test_t49_other_models_are_not_found(server: Running) -> None:
    for path in ("/predictions/gpt", "/inference/gpt", "/chat/gpt"):
        assert is_error(post(server.port, BODY, path), 404, "falcon40b")


def test_t50_a_reply_is_raw_text_in_chunks(server: Running) -> None:
    answer = post(server.port, BODY)
    assert answer.version == "HTTP/1.1"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in answer.headers
    assert answer.whole
    assert answer.text == REPLY.text


def test_t50_no_character_is_broken_across_chunks(paced_server: Running) -> None:
    text = "Characters of several bytes: "
    seed = next(seed for seed in range(99) if _smileys(text, seed))
    answer = post(paced_server.port, {"text": text, "seed": seed, "max_tokens": 60})
    assert "".join(chunk.decode() for chunk in answer.chunks) == answer.text
    assert answer.text == scripted_reply(text, seed, 60).text


def _smileys(text: str, seed: int) -> str:
    return "".join(char for char in scripted_reply(text, seed, 60).text if char > "\uffff")


def test_t50_the_prompt_is_not_repeated_unless_asked_for(server: Running) -> None:
    assert post(server.port, BODY).text == REPLY.text
    assert post(server.port, BODY | {"return_prompt": True}).text == TEXT + REPLY.text


def test_t51_stream_false_gives_one_json_object_with_an_answer(server: Running) -> None:
    answer = post(server.port, BODY | {"stream": False})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["answer"] == REPLY.text


def test_t51_the_examples_answer_holds_the_prompt_when_asked_for(server: Running) -> None:
    answer = post(server.port, BODY | {"stream": False, "return_prompt": True})
    assert answer.json()["answer"] == TEXT + REPLY.text


def test_t52_a_stop_sequence_that_does_not_come_leaves_max_tokens_to_end_the_reply(
    server: Running,
) -> None:
    seed = next(s for s in range(99) if _without_a_full_stop(s))
    body = {"text": TEXT, "seed": seed, "max_tokens": "32", "stop_sequence": ".", "stream": False}
    answer = post(server.port, body).json()
    assert answer["answer"] == scripted_reply(TEXT, seed, 32).text
    assert answer["finish_reason"] == "length"
    assert answer["completion_tokens"] == 32


def _without_a_full_stop(seed: int) -> bool:
    reply = scripted_reply(TEXT, seed, 32)
    return "." not in reply.text and reply.reason == "length"


def test_t53_a_reply_is_truncated_by_whichever_limit_comes_first(server: Running) -> None:
    sequence = REPLY.text[20:24]
    body = BODY | {"stop_sequence": sequence, "stream": False}
    stopped = post(server.port, body).json()
    assert stopped["answer"] == REPLY.text.partition(sequence)[0]
    assert stopped["finish_reason"] == "stop"
    assert stopped["completion_tokens"] < 32
    limited = post(server.port, body | {"max_tokens": 1}).json()
    assert limited["finish_reason"] == "length"
    assert limited["completion_tokens"] == 1
