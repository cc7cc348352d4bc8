"""V-09 to V-11: `/generate` of vLLM's quickstart, when it was CacheFlow."""

import json
import subprocess

import pytest

from contract.asking import post
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


def test_v09_v10_the_quickstarts_own_line_says_what_to_send_instead(server: Running) -> None:
    """Word for word; beam search comes later, and is never replaced by sampling silently."""
    shown = curl(
        server,
        """{
        "prompt": "San Francisco is a",
        "use_beam_search": true,
        "n": 4,
        "temperature": 0
    }""",
    )
    assert "use_beam_search is not supported; send n" in json.loads(shown)["message"]


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
