"""V-15 to V-19: the OpenAI part of vLLM's quickstart, as its users type it."""

import subprocess
import sys
from typing import Any

import pytest

from processes import ROOT, Running
from raw_http import ask, gather, request_bytes
from scripted_replies import scripted_reply

from .asking import get, post
from .conftest import Stack
from .drawing import TEXT

ASKED = {"model": "scripted", "prompt": "San Francisco is a", "max_tokens": 7, "temperature": 0}


def test_v15_v16_one_model_is_listed(server: Running) -> None:
    assert [model["id"] for model in get(server.port, "/v1/models").json()["data"]] == ["scripted"]


def test_v17_a_completion(server: Running) -> None:
    answer = post(server.port, ASKED | {"seed": 3}, "/v1/completions").json()
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"] == scripted_reply("San Francisco is a", 3, 7).text


def test_v17_temperature_0_is_greedy(draft: Running) -> None:
    """Every seed, and none, brings the likeliest token at each place."""
    asked = ASKED | {"model": "draft", "prompt": TEXT, "logprobs": 1}
    seeds: list[dict[str, int]] = [{}, *({"seed": seed} for seed in range(8))]

    def choices(**fields: object) -> list[Any]:
        raws = [request_bytes("/v1/completions", asked | seed | fields) for seed in seeds]
        return [answer.json()["choices"][0] for answer in gather(draft.port, raws)]

    answers = choices()
    (text,) = {answer["text"] for answer in answers}
    told = answers[0]["logprobs"]
    assert len(told["tokens"]) == 7
    assert "".join(told["tokens"]) == text
    assert told["tokens"] == [max(top, key=top.__getitem__) for top in told["top_logprobs"]]
    assert len({answer["text"] for answer in choices(temperature=2)}) > 1


def test_v17_curl(server: Running) -> None:
    body = '{"model": "scripted", "prompt": "San Francisco is a", "max_tokens": 7, "seed": 3}'
    shown = subprocess.run(
        ["curl", "-s", f"{server.url}/v1/completions", "-d", body],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert scripted_reply("San Francisco is a", 3, 7).text in shown.stdout


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/x-www-form-urlencoded"}])
def test_v18_the_old_clients_wire_form(server: Running, headers: dict[str, str]) -> None:
    """openai before 1.0 sends what is sent today; `tests/clients` runs it."""
    raw = request_bytes("/v1/completions", ASKED, headers=headers)
    assert ask(server.port, raw).json()["choices"][0]["text"]


def test_v18_http_1_0_is_answered_without_chunks(server: Running) -> None:
    raw = request_bytes("/v1/completions", ASKED | {"stream": True, "seed": 3})
    answer = ask(server.port, raw.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert "transfer-encoding" not in answer.headers
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_v19_the_example_runs(stack: Stack) -> None:
    token = stack.authorization.removeprefix("Bearer ")
    command = [sys.executable, "examples/openai_client.py", "--url", f"{stack.proxy.url}/v1"]
    shown = subprocess.run(
        [*command, "--key", token], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert "Model: scripted" in shown.stdout
