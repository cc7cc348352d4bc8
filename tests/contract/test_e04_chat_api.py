"""E-02 to E-12, E-16, E-17, E-20: requests of EasyDeL's users, and the answers.

Covers `openai/models`.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest

from processes import ROOT, Running, running_proxy, running_server
from raw_http import Answer, gather, request_bytes
from scripted_replies import scripted_reply

from .asking import get, post
from .conftest import JWT_SECRET, PROXY_SECRET, Stack, encoded

CHAT = "/v1/chat/completions"
MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Hello, how are you?"},
]
PROMPT = "system: You are a helpful assistant.\nuser: Hello, how are you?\nassistant:"


def ask(server: Running, **fields: Any) -> Answer:
    body = {"model": "falcon40b", "messages": MESSAGES, "max_tokens": 12, "seed": 5} | fields
    return post(server.port, body, CHAT)


def error(answer: Answer, status: int) -> dict[str, Any]:
    assert answer.status == status, answer.text
    found: dict[str, Any] = answer.json()["error"]
    return found


@pytest.mark.slow
def test_e04_e07_e08_a_chat_completion(server: Running) -> None:
    answer = ask(server, temperature=0.7, stream=False).json()
    assert answer["object"] == "chat.completion"
    (choice,) = answer["choices"]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == scripted_reply(PROMPT, 5, 12).text
    assert choice["finish_reason"] in {"stop", "length"}
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["tokens_per_second"] > 0
    assert usage["processing_time"] > 0


def test_e02_e05_e06_images_are_refused_by_a_model_that_reads_text(server: Running) -> None:
    for image in (
        {"type": "image", "image": "https://example.com/image.jpg"},
        {"type": "image", "image": "data:image/jpeg;base64,AA=="},
        {"type": "image_url", "image_url": {"url": "https://example.com/image.jpg"}},
    ):
        content = [image, {"type": "text", "text": "What is in this image?"}]
        refused = error(ask(server, messages=[{"role": "user", "content": content}]), 400)
        assert "reads text only" in refused["message"]
        assert refused["param"] == "messages[0].content[0]"


def test_e09_tokens_are_counted_as_a_prompt_would_be(server: Running) -> None:
    for conversation in ("Hello, how are you?", MESSAGES):
        body = {"model": "falcon40b", "conversation": conversation}
        counted = post(server.port, body, "/v1/count_tokens").json()
        assert counted["model"] == "falcon40b"
        wanted = PROMPT if isinstance(conversation, list) else conversation
        assert counted["count"] == len(wanted)
    assert ask(server).json()["usage"]["prompt_tokens"] == len(PROMPT)


def test_e10_e16_models_are_listed(server: Running) -> None:
    listed = get(server.port, "/v1/models").json()
    assert listed["object"] == "list"
    (model,) = listed["data"]
    assert model["id"] == "scripted"
    assert model["object"] == "model"
    assert model["owned_by"] == "rowcast"
    assert model["permission"] == []
    assert model["created"] > 0
    assert get(server.port, "/v1/models/scripted").json() == model
    assert error(get(server.port, "/v1/models/gpt-4"), 404)["code"] == "model_not_found"


@pytest.mark.slow
def test_e16_a_models_name_may_have_a_slash(tmp_path: Path) -> None:
    """In bodies of every dialect, in the list, and in OpenAI's client; paths use its last part."""
    secrets = {"JWT_SECRET": JWT_SECRET, "PROXY_SECRET": PROXY_SECRET}
    token = encoded('{"team_id": "one"}')
    with (
        running_server(tmp_path, env=secrets | {"MODEL_NAME": "our/model-1"}) as server,
        running_proxy(tmp_path, server, env=secrets) as proxy,
        openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=token) as client,
    ):
        (model,) = client.models.list().data
        assert model.id == "our/model-1"
        assert client.models.retrieve("our/model-1") == model
        for name in ("our/model-1", "model-1"):
            body = {"model": name, "messages": MESSAGES, "max_tokens": 12, "seed": 5}
            told = post(proxy.port, body, CHAT, Authorization=f"Bearer {token}").json()
            assert told["choices"][0]["message"]["content"] == scripted_reply(PROMPT, 5, 12).text
        native = {"text": "Hello", "seed": 5, "max_tokens": 12}
        for path in ("/inference/model-1", "/predictions/model-1", "/inference/falcon40b"):
            answer = post(proxy.port, native, path, Authorization=f"Bearer {token}")
            assert answer.text == scripted_reply("Hello", 5, 12).text
        assert post(proxy.port, native, "/inference/our/model-1").status == 404


def test_e12_a_stream_is_lines_of_data(server: Running) -> None:
    answer = ask(server, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.whole
    lines = [line for line in answer.text.split("\n") if line and line[:4] != "id: "]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert text == scripted_reply(PROMPT, 5, 12).text


def test_e17_six_parameters_are_taken(server: Running) -> None:
    asked = {
        "temperature": 0.8,
        "top_p": 0.95,
        "top_k": 50,
        "repetition_penalty": 1.1,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.1,
    }
    assert ask(server, **asked).status == 200


STORY = [{"role": "user", "content": "Tell me a story."}]


def _told(draft: Running, *asked: dict[str, Any]) -> list[str]:
    """Return the model's answers to one question, sent with these variations at once."""
    fixed = {"model": "draft", "messages": STORY, "max_tokens": 60, "temperature": 0}
    answers = gather(draft.port, [request_bytes(CHAT, fixed | each) for each in asked])
    assert {answer.status for answer in answers} == {200}
    return [answer.json()["choices"][0]["message"]["content"] for answer in answers]


def _of_seeds(draft: Running, **fields: Any) -> set[str]:
    """Return the beginnings of the replies of 6 seeds."""
    return {*_told(draft, *({"max_tokens": 12, "seed": seed} | fields for seed in range(6)))}


@pytest.mark.slow
def test_e17_temperature_top_p_and_top_k_choose_how_freely_it_is_drawn(draft: Running) -> None:
    greedy = _told(draft, {"max_tokens": 12})
    for narrow in ({"temperature": 0}, {"top_k": 1}, {"top_p": 0.0001}):
        assert _of_seeds(draft, **{"temperature": 2} | narrow) == {*greedy}
    for wide in ({}, {"top_p": 0.95, "top_k": 50}):
        assert len(_of_seeds(draft, temperature=1, **wide)) > 3


@pytest.mark.slow
def test_e17_each_penalty_has_an_effect_of_its_own(draft: Running) -> None:
    """Three penalties reduce repetition, each with a different reply."""
    penalties = {"repetition_penalty": 1.5, "presence_penalty": 2, "frequency_penalty": 2}
    plain, *others = _told(draft, {}, *({name: high} for name, high in penalties.items()))
    assert len({plain, *others}) == 4
    assert max(map(_repeated, others)) < _repeated(plain)


def _repeated(text: str) -> int:
    """Return how many words occurred before."""
    words = text.lower().split()
    return len(words) - len(set(words))


def _run(stack: Stack, program: str, *arguments: str) -> str:
    """Run one of the programs; return its output if it succeeds."""
    token = stack.authorization.removeprefix("Bearer ")
    shown = subprocess.run(
        [sys.executable, f"examples/openai/{program}", stack.proxy.url, token, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return shown.stdout


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("chat.py", "processing_time"),
        ("stream.py", "\n"),  # the seed is the server's, so the reply may be empty
        ("image.py", "reads text only"),
        ("count_tokens.py", f"{len('Hello, how are you today?')} tokens"),
        ("models.py", "scripted owned by rowcast"),
    ],
)
def test_e20_the_clients_programs_run(stack: Stack, program: str, says: str) -> None:
    assert says in _run(stack, program)


def _prompt(*said: tuple[str, str]) -> str:
    """Return the scripted model's prompt for a conversation."""
    return "\n".join([*(f"{role}: {text}" for role, text in said), "assistant:"])


ASSISTANT = ("system", "You are a helpful assistant.")


@pytest.mark.parametrize(
    ("program", "prompt", "max_tokens"),
    [
        ("chat.py", _prompt(ASSISTANT, ("user", "What is the capital of France?")), 500),
        ("stream.py", _prompt(("user", "Write a short story about a robot.")), 300),
    ],
)
def test_e20_what_they_print_is_the_reply_of_their_seed(
    stack: Stack, program: str, prompt: str, max_tokens: int
) -> None:
    reply = scripted_reply(prompt, 7, max_tokens).text
    assert len(reply) > 50
    assert _run(stack, program, "7").startswith(f"{reply}\n")
