"""E-13 to E-16, F-01, F-03, F-11: servers described, started, used and stopped from Python."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from processes import ROOT, SERVER, free_port, running, until
from raw_http import ask, request_bytes
from rowcast import Model, RowcastError, Server
from rowcast.serving.running import RunningServer
from scripted_replies import scripted_reply

from .conftest import LOADING

CONFIGURED = Model("scripted", max_new_tokens=40, streaming_chunks=8, num_return_sequences=2)
HELLO = [{"role": "user", "content": "Hello"}]
PROMPT = "user: Hello\nassistant:"


def lasting(prompt: str, tokens: int) -> int:
    """Return a seed whose first reply to this prompt is at least so long."""
    return next(s for s in range(999) if scripted_reply(prompt, s, tokens).reason == "length")


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """A server of two models, one of them with defaults. Leave it as you found it."""
    with Server({"plain": Model("scripted"), "configured": CONFIGURED}).start() as server:
        yield server


def post(server: RunningServer, path: str, **body: Any) -> requests.Response:
    return requests.post(server.url + path, json=body, timeout=60)


def deltas(answer: requests.Response) -> list[str]:
    """Return the texts of a stream's events."""
    events = [
        json.loads(line.removeprefix("data: "))
        for line in answer.text.splitlines()
        if line.startswith("data: ") and line != "data: [DONE]"
    ]
    texts = [
        choice.get("text") or choice.get("delta", {}).get("content")
        for event in events
        for choice in event.get("choices", [event])
    ]
    return [text for text in texts if text]


def test_e13_max_new_tokens_is_the_length_of_a_reply_without_max_tokens(
    server: RunningServer,
) -> None:
    seed = lasting(PROMPT, 60)
    chat = post(server, "/v1/chat/completions", model="configured", messages=HELLO, seed=seed, n=1)
    assert chat.json()["usage"]["completion_tokens"] == 40
    seed = lasting("Hello", 60)
    text = post(server, "/v1/completions", model="configured", prompt="Hello", seed=seed, n=1)
    assert text.json()["choices"][0]["text"] == scripted_reply("Hello", seed, 40).text
    native = post(server, "/inference/configured", text="Hello", seed=seed)
    assert native.text == scripted_reply("Hello", seed, 40).text
    longer = post(server, "/inference/configured", text="Hello", seed=seed, max_tokens=60)
    assert longer.text == scripted_reply("Hello", seed, 60).text


def test_e13_num_return_sequences_is_the_number_of_replies(server: RunningServer) -> None:
    for path, body in (
        ("/v1/chat/completions", {"messages": HELLO}),
        ("/v1/completions", {"prompt": "Hello"}),
    ):
        choices = post(server, path, model="configured", **body).json()["choices"]
        assert [choice["index"] for choice in choices] == [0, 1]
        assert len(post(server, path, model="configured", n=1, **body).json()["choices"]) == 1
        assert len(post(server, path, model="plain", **body).json()["choices"]) == 1


def test_e13_streaming_chunks_is_the_number_of_tokens_per_chunk(server: RunningServer) -> None:
    seed = lasting("Hello", 40)
    text = scripted_reply("Hello", seed, 36).text
    asked = {"seed": seed, "max_tokens": 36}
    ends = [len(scripted_reply("Hello", seed, at).text) for at in (8, 16, 24, 32, 36)]
    raw = ask(server.port, request_bytes("/inference/configured", {"text": "Hello", **asked}))
    assert raw.text == text
    sent = [chunk for chunk in raw.chunks if chunk]
    assert len(sent) == len(ends)
    for path, body in (
        ("/chat/configured", {"text": "Hello"}),
        ("/v1/completions", {"model": "configured", "prompt": "Hello", "n": 1, "stream": True}),
    ):
        pieces = deltas(post(server, path, **asked, **body))
        assert "".join(pieces) == text
        assert len(pieces) == len(ends)
    seed = lasting(PROMPT, 40)
    body = {"model": "configured", "messages": HELLO, "n": 1, "stream": True}
    pieces = deltas(post(server, "/v1/chat/completions", seed=seed, max_tokens=36, **body))
    assert "".join(pieces) == scripted_reply(PROMPT, seed, 36).text
    assert len(pieces) == 5


@pytest.mark.slow
def test_e14_a_prompt_is_computed_before_the_server_is_ready() -> None:
    slow = Model("scripted", step_seconds=0.05).precompile(batch_size=32, prefill_length=1024)
    with Server(slow).start(wait=False) as server:
        assert not server.ready()
        server.wait_ready()
        assert server.log is not None
        assert "warm rows=32 tokens=1024" in server.log.read_text()
        assert server.generate("Hello", seed=3, max_tokens=9) == scripted_reply("Hello", 3, 9).text


@pytest.mark.slow
def test_e14_a_prompt_that_does_not_fit_is_refused(server: RunningServer) -> None:
    for rows, tokens in ((33, 8), (0, 8), (1, 0)):
        with pytest.raises(RowcastError, match=r"batch_size|prefill_length"):
            Model("scripted").precompile(batch_size=rows, prefill_length=tokens)
    with pytest.raises(RowcastError, match=r"WARM_TOKENS is 100000, but the model's context is"):
        Server(Model("scripted").precompile(1, 100_000)).start(timeout=60)


FIRE = """
from rowcast import Model, Server
Server({models}).fire(port={port})
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("models", "names"),
    [
        ('Model("scripted")', ["scripted"]),
        ('{"model1": Model("scripted"), "model2": "scripted"}', ["model1", "model2"]),
    ],
)
def test_e15_e16_fire_serves_one_model_or_a_dict_whose_keys_are_the_models_ids(
    models: str, names: list[str], tmp_path: Path
) -> None:
    port = free_port()
    program = tmp_path / "program.py"
    program.write_text(FIRE.format(models=models, port=port))
    path = {"PYTHONPATH": str(ROOT / "inference-api")}
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([sys.executable, str(program)], env=os.environ | path) as process:
        try:
            until(lambda: _answers(url), "it is ready", 60)
            listed = requests.get(url + "/v1/models", timeout=20).json()["data"]
            assert [model["id"] for model in listed] == names
            for name in names:
                body = {"model": name, "prompt": "Hello", "seed": 3, "max_tokens": 9}
                answer = requests.post(url + "/v1/completions", json=body, timeout=60).json()
                assert answer["model"] == name
                assert answer["choices"][0]["text"] == scripted_reply("Hello", 3, 9).text
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0


def _answers(url: str) -> bool:
    try:
        return requests.get(url + "/readiness", timeout=5).ok
    except requests.RequestException:
        return False


@pytest.mark.slow
def test_f01_f03_a_model_is_initialized_managed_and_used_from_python() -> None:
    slow = Model("scripted", step_seconds=0.05).precompile(32, 512)
    with Server({"first": slow}).start(wait=False) as server:
        until(lambda: _liveness(server), "it answers")
        assert requests.get(server.url + "/readiness", timeout=20).status_code == 503
        server.wait_ready()
        assert server.generate("Hello", seed=3, max_tokens=9) == scripted_reply("Hello", 3, 9).text
        server.change({"second": Model("scripted")})
        until(lambda: [each["id"] for each in server.models()] == ["second"], "it is replaced")
        stream = server.stream("Hello", model="second", seed=3, max_tokens=9)
        assert "".join(stream) == scripted_reply("Hello", 3, 9).text
    assert not server.ready()


def _liveness(server: RunningServer) -> bool:
    try:
        return requests.get(server.url + "/liveness", timeout=5).ok
    except requests.RequestException:
        return False


@pytest.mark.slow
def test_f11_a_generation_configuration_is_read_from_a_file(tmp_path: Path) -> None:
    config = tmp_path / "generation.json"
    config.write_text(json.dumps({"temperature": 0, "max_new_tokens": 7}))
    port = free_port()
    env = {
        "PORT": str(port),
        "MODEL": "draft",
        "JOURNAL": "off",
        "CONFIG_FILE": str(config),
    }
    with running(SERVER, port, tmp_path / "log", env=env, patience=LOADING) as server:
        url = server.url + "/v1/completions"
        texts = []
        for seed in (1, 2):
            body = {"model": "draft", "prompt": "Once upon a time", "seed": seed}
            answer = requests.post(url, json=body, timeout=60).json()
            assert answer["usage"]["completion_tokens"] == 7
            texts.append(answer["choices"][0]["text"])
        assert texts[0] == texts[1], "greedy whatever the seed"
        drawn = set()
        for seed in range(4):
            asked = {"model": "draft", "prompt": "Once upon a time", "temperature": 1.5}
            answer = requests.post(url, json={**asked, "seed": seed}, timeout=60).json()
            drawn.add(answer["choices"][0]["text"])
        assert len(drawn) > 1, "a request's own value overrides it"
