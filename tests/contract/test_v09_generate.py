"""V-09 to V-11: `/generate` of vLLM's quickstart, when it was CacheFlow."""

import json
import subprocess
from typing import Any

import pytest

from contract.asking import post
from engine.beam_rule import searched
from processes import Running
from scripted_replies import scripted_reply

PROMPT = "San Francisco is a"
SEED = 3


def curl(server: Running, body: str) -> str:
    """Send a body as the quickstart's curl does: with a form's Content-Type."""
    command = ["curl", "-s", f"{server.url}/generate", "-d", body]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_v09_json_is_parsed_without_a_json_content_type(server: Running) -> None:
    shown = curl(server, '{"prompt": "San Francisco is a", "n": 4, "temperature": 0, "seed": 3}')
    reply = scripted_reply(PROMPT, SEED, 16)
    answer = json.loads(shown)
    assert answer["text"][0] == PROMPT + reply.text
    assert len(answer["text"]) == 4


def test_v09_v10_the_quickstarts_own_line_searches_four_beams(server: Running) -> None:
    """Word for word; without a maximum, vLLM's 16 tokens."""
    shown = curl(
        server,
        """{
        "prompt": "San Francisco is a",
        "use_beam_search": true,
        "n": 4,
        "temperature": 0
    }""",
    )
    wanted = searched(PROMPT.encode(), 4, 16)
    assert json.loads(shown)["text"] == [PROMPT + each.text for each in wanted]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"n": 1}, "at least 2 beams"),
        ({"temperature": 0.8}, "temperature must be 0"),
        ({"top_p": 0.9}, "top_p must be 1"),
        ({"top_k": 5}, "top_k must be -1"),
    ],
)
def test_v10_what_samples_is_refused_beside_beams(
    server: Running, fields: dict[str, object], words: str
) -> None:
    body = {"prompt": PROMPT, "use_beam_search": True, "n": 4} | fields
    answer = post(server.port, body, "/generate")
    assert answer.status == 400
    assert words in answer.json()["detail"]


def test_v10_more_beams_than_choices_and_both_rules_of_rank(server: Running) -> None:
    body = {"prompt": PROMPT, "use_beam_search": True, "n": 2, "best_of": 6, "max_tokens": 20}
    options: dict[str, Any] = {"length_penalty": 0.5, "early_stopping": True}
    texts = post(server.port, body | options, "/generate").json()["text"]
    wanted = searched(PROMPT.encode(), 6, 20, **options)[:2]
    assert texts == [PROMPT + each.text for each in wanted]


def test_v10_completions_have_beams_too(server: Running) -> None:
    body = {"model": "scripted", "prompt": PROMPT, "use_beam_search": True, "n": 3, "best_of": 4}
    choices = post(server.port, body, "/v1/completions").json()["choices"]
    wanted = searched(PROMPT.encode(), 4, 16)[:3]
    assert [each["text"] for each in choices] == [each.text for each in wanted]


def test_v10_n_choices_differ(server: Running) -> None:
    body = {"prompt": PROMPT, "use_beam_search": False, "n": 4, "seed": SEED, "max_tokens": 20}
    texts = post(server.port, body, "/generate").json()["text"]
    assert texts[0] == PROMPT + scripted_reply(PROMPT, SEED, 20).text
    assert len(set(texts)) == 4


@pytest.mark.parametrize("n", [1, 4])
def test_v11_a_stream_is_json_pieces_each_followed_by_a_nul(paced_server: Running, n: int) -> None:
    body = {"prompt": PROMPT, "n": n, "seed": SEED, "max_tokens": 12, "stream": True}
    answer = post(paced_server.port, body, "/generate")
    assert answer.whole
    *parts, rest = answer.body.split(b"\0")
    assert rest == b""
    pieces = [json.loads(part) for part in parts]
    assert len(pieces) > 4
    for piece in pieces:
        assert set(piece) == {"text", "error"}
        assert (len(piece["text"]), piece["error"]) == (n, 0)
        assert all(text.startswith(PROMPT) for text in piece["text"])
    lengths = [sum(map(len, piece["text"])) for piece in pieces]
    assert lengths == sorted(lengths)
    assert pieces[-1]["text"][0] == PROMPT + scripted_reply(PROMPT, SEED, 12).text


def test_v11_a_stream_of_beams_ends_with_the_best_of_them(paced_server: Running) -> None:
    body = {"prompt": PROMPT, "use_beam_search": True, "n": 2, "best_of": 4, "max_tokens": 60}
    answer = post(paced_server.port, body | {"stream": True}, "/generate")
    pieces = [json.loads(part) for part in answer.body.split(b"\0")[:-1]]
    wanted = searched(PROMPT.encode(), 4, 60)[:2]
    assert pieces[-1] == {"text": [PROMPT + each.text for each in wanted], "error": 0}
    assert len(pieces) > 2
    assert all(wanted[0].text.startswith(piece["text"][0][len(PROMPT) :]) for piece in pieces[:-1])
