"""Third-party clients read on through silence and killed decoders, to the same end.

OpenAI's own client reads its two routes and a forced tool call; its parser of server-sent events,
which dispatches an event on every empty line once it has seen an id, reads the native events too.
The server is slow enough to send comments between all tokens.
"""

import json
from collections.abc import Callable, Iterator

import openai
import pytest
import requests
from openai._streaming import SSEDecoder
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam

from processes import ROOT, Running, running_server
from scripted_replies import long_reply

pytestmark = pytest.mark.slow

TEMPLATE = ROOT / "tests" / "clients" / "template.jinja"
PROMPT = "Say something long. " * 100  # several steps before its first token
SEED = 3
TOKENS = 12
WEATHER: ChatCompletionToolUnionParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": PROMPT}]

Read = Callable[[Running], Iterator[str]]


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose event streams count as silent before each token."""
    env = {"STEP_SECONDS": "0.05", "COMMENT_SECONDS": "0.005", "CHAT_TEMPLATE": str(TEMPLATE)}
    env["PREFIX_SCOPE"] = "off"  # silence is computed again for each request
    with running_server(tmp_path_factory.mktemp("slow"), env=env) as server:
        yield server


def _client(server: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="EMPTY", max_retries=0, timeout=60)


def completion(server: Running) -> Iterator[str]:
    with _client(server) as client:
        stream = client.completions.create(
            model="scripted", prompt=PROMPT, seed=SEED, max_tokens=TOKENS, stream=True
        )
        yield ""
        for chunk in stream:
            yield chunk.choices[0].text


def chat(server: Running) -> Iterator[str]:
    with _client(server) as client:
        stream = client.chat.completions.create(
            model="scripted", messages=MESSAGES, seed=SEED, max_tokens=TOKENS, stream=True
        )
        yield ""
        for chunk in stream:
            yield chunk.choices[0].delta.content or ""


def tool_call(server: Running) -> Iterator[str]:
    with _client(server) as client:
        stream = client.chat.completions.create(
            model="scripted",
            messages=MESSAGES,
            seed=SEED,
            max_tokens=900,
            tools=[WEATHER],
            tool_choice="required",
            stream=True,
        )
        yield ""
        for chunk in stream:
            for call in chunk.choices[0].delta.tool_calls or []:
                assert call.function is not None
                yield (call.function.name or "") + (call.function.arguments or "")


def native_events(server: Running) -> Iterator[str]:
    body = {"text": PROMPT, "seed": long_reply(PROMPT, TOKENS, at_least=TOKENS)}
    with requests.post(
        f"{server.url}/chat/scripted", json=body | {"max_tokens": TOKENS}, stream=True, timeout=60
    ) as answer:
        yield ""
        for event in SSEDecoder().iter_bytes(answer.iter_content(None)):
            yield str(json.loads(event.data).get("text", ""))


READERS = (completion, chat, tool_call, native_events)


def _read(read: Read, server: Running, kill_at: int | None = None) -> str:
    """Read everything; kill the decoder after this many parts."""
    parts = []
    for at, part in enumerate(read(server)):
        parts.append(part)
        if at == kill_at:
            server.backend().kill()
    assert kill_at is None or len(parts) > kill_at + 1, "nothing was left to come after the kill"
    return "".join(parts)


@pytest.mark.parametrize("read", READERS)
def test_a_client_reads_on_when_the_decoder_is_killed(slow_server: Running, read: Read) -> None:
    undisturbed = _read(read, slow_server)
    assert undisturbed
    for kill_at in (0, 5):  # before the first token, and in the middle
        assert _read(read, slow_server, kill_at) == undisturbed


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions", "/chat/scripted"])
def test_silence_is_told_by_lines_that_are_no_events(slow_server: Running, path: str) -> None:
    """Some parsers dispatch at every empty line, some read lines: every block has data."""
    body: dict[str, object] = {"model": "scripted", "prompt": PROMPT, "stream": True}
    if path == "/v1/chat/completions":
        body = {"model": "scripted", "messages": MESSAGES, "stream": True}
    elif path == "/chat/scripted":
        body = {"text": PROMPT}
    asked = body | {"seed": SEED, "max_tokens": TOKENS}
    text = requests.post(slow_server.url + path, json=asked, timeout=60).text
    blocks = text.removesuffix("\n\n").split("\n\n")
    assert any(line == ": waiting" for block in blocks for line in block.split("\n"))
    assert all("\ndata: " in f"\n{block}" for block in blocks)
