"""V-15 to V-19: the OpenAI part of vLLM's quickstart, as its users type it."""

import subprocess
import sys
from typing import Any

import pytest

from frontend.serving import serving
from processes import ROOT, Running
from raw_http import ask, gather, request_bytes
from scripted_replies import scripted_reply

from .asking import get, post
from .conftest import Stack
from .drawing import TEXT

ASKED = {"model": "scripted", "prompt": "San Francisco is a", "max_tokens": 7, "temperature": 0}


def test_v15_v16_one_model_is_listed(server: Running) -> None:
    assert [model["id"] for model in get(server.port, "/v1/models").json()["data"]] == ["scripted"]


def test_v16_v17_a_model_answers_to_its_id_with_its_slash() -> None:
    """As in the quickstart: `--model facebook/opt-125m`."""
    with serving(settings={"model": "facebook/opt-125m"}) as served:
        listed = served.client.get("/v1/models").get_json()["data"]
        assert [model["id"] for model in listed] == ["opt-125m", "facebook/opt-125m"]
        assert {model["root"] for model in listed} == {"opt-125m"}
        for path in ("/v1/models/facebook/opt-125m", "/v1/models/facebook%2Fopt-125m"):
            assert served.client.get(path).get_json() == listed[1]
        for name in ("facebook/opt-125m", "opt-125m", "falcon40b"):
            answer = served.post("/v1/completions", **ASKED | {"model": name, "seed": 3})
            expected = scripted_reply("San Francisco is a", 3, 7).text
            assert answer.get_json()["choices"][0]["text"] == expected
            assert answer.get_json()["model"] == name
            body = {"model": name, "prompt": "four"}
            assert served.post("/tokenize", **body).get_json()["count"] == 4
            counted = served.post("/v1/count_tokens", model=name, conversation="four")
            assert counted.get_json()["count"] == 4
        refused = served.post("/v1/completions", **ASKED | {"model": "facebook/opt"})
        assert refused.status_code == 404
        assert "opt-125m, facebook/opt-125m, falcon40b" in refused.get_json()["error"]["message"]


def test_v16_v17_a_model_answers_to_the_folder_it_was_served_from_and_does_not_tell_it() -> None:
    with serving(settings={"model": "/models/tiny/"}) as served:
        for name in ("/models/tiny/", "/models/tiny", "tiny"):
            answer = served.post("/v1/completions", **ASKED | {"model": name})
            assert answer.status_code == 200, answer.text
        assert served.post("/inference/tiny", text="Hi", max_tokens=2).status_code == 200
        told = [
            served.client.get("/v1/models"),
            served.client.get("/openapi.json"),
            served.post("/v1/completions", **ASKED | {"model": "x"}),
            served.post("/inference/x", text="Hi"),
        ]
        assert not [answer for answer in told if "/models/tiny" in answer.text]


def test_v17_a_completion(server: Running) -> None:
    answer = post(server.port, ASKED | {"seed": 3}, "/v1/completions").json()
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"] == scripted_reply("San Francisco is a", 3, 7).text


@pytest.mark.slow
def test_v17_temperature_0_is_greedy(draft: Running) -> None:
    """With every seed, and with none, each token is the likeliest one."""
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
    """openai before 1.0 sends these headers; `tests/clients` runs it."""
    raw = request_bytes("/v1/completions", ASKED | {"seed": 3}, headers=headers)
    assert ask(server.port, raw).json()["choices"][0]["text"]


def test_v18_http_1_0_is_answered_without_chunks(server: Running) -> None:
    raw = request_bytes("/v1/completions", ASKED | {"stream": True, "seed": 3})
    answer = ask(server.port, raw.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert "transfer-encoding" not in answer.headers
    assert answer.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.slow
def test_v19_the_example_runs(stack: Stack) -> None:
    token = stack.authorization.removeprefix("Bearer ")
    command = [sys.executable, "examples/openai_client.py", "--url", f"{stack.proxy.url}/v1"]
    shown = subprocess.run(
        [*command, "--key", token], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert "Model: scripted" in shown.stdout
