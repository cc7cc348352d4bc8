"""Q-13: TGI's routes, by the client of its users, `huggingface_hub.InferenceClient`."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient, TextGenerationStreamOutput
from huggingface_hub import TextGenerationInputGrammarType as GrammarType
from huggingface_hub.errors import ValidationError

from contract.asking import get, post
from contract.conftest import Stack
from processes import Running
from scripted_replies import scripted_reply

HELLO = scripted_reply("Hello", 3, 12)


@pytest.fixture(params=["", "/generate"])
def client(request: pytest.FixtureRequest, stack: Stack) -> Iterator[InferenceClient]:
    """A client of the proxy, with its root or with /generate as the base URL."""
    token = stack.authorization.removeprefix("Bearer ")
    with InferenceClient(stack.proxy.url + request.param, token=token) as made:
        yield made


def test_q13_a_text(client: InferenceClient) -> None:
    assert client.text_generation("Hello", max_new_tokens=12, seed=3) == HELLO.text


def test_q13_details(client: InferenceClient) -> None:
    answer = client.text_generation(
        "Hello", max_new_tokens=12, seed=3, details=True, decoder_input_details=True
    )
    assert answer.generated_text == HELLO.text
    assert answer.details is not None
    assert [token.id for token in answer.details.tokens] == list(HELLO.tokens)
    assert [token.text for token in answer.details.prefill] == list("Hello")
    assert answer.details.finish_reason == "length"


def test_q13_a_stream_of_tokens(client: InferenceClient) -> None:
    tokens = list(client.text_generation("Hello", max_new_tokens=12, seed=3, stream=True))
    assert len(tokens) == 12
    assert "".join(tokens) == HELLO.text


def test_q13_a_stream_with_details(client: InferenceClient) -> None:
    events = list(
        client.text_generation("Hello", max_new_tokens=12, seed=3, stream=True, details=True)
    )
    assert all(isinstance(event, TextGenerationStreamOutput) for event in events)
    assert [event.token.id for event in events] == list(HELLO.tokens)
    assert events[-1].generated_text == HELLO.text
    assert events[-1].details is not None
    assert events[-1].details.generated_tokens == 12


def test_q13_a_grammar(client: InferenceClient) -> None:
    schema = {"properties": {"age": {"type": "integer"}}, "required": ["age"]}
    text = client.text_generation(
        "Hello", max_new_tokens=300, seed=3, grammar=GrammarType(type="json", value=schema)
    )
    assert isinstance(json.loads(text)["age"], int)


def test_q13_errors_are_the_clients_own(client: InferenceClient) -> None:
    with pytest.raises(ValidationError, match="typical_p is not supported"):
        client.text_generation("Hello", typical_p=0.5)
    with pytest.raises(ValidationError, match="watermark is not supported"):
        client.text_generation("Hello", watermark=True, stream=True)


def test_q13_asynchronously(stack: Stack) -> None:
    async def text() -> str:
        token = stack.authorization.removeprefix("Bearer ")
        async with AsyncInferenceClient(stack.proxy.url, token=token) as client:
            stream = await client.text_generation("Hello", max_new_tokens=12, seed=3, stream=True)
            return "".join([token async for token in stream])

    assert asyncio.run(text()) == HELLO.text


def test_q13_generate_stream_and_info(server: Running) -> None:
    body = {"inputs": "Hello", "parameters": {"max_new_tokens": 12, "seed": 3}}
    answer = post(server.port, body, "/generate_stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(each.partition("data: ")[2]) for each in answer.text.split("\n\n") if each]
    assert "".join(event["token"]["text"] for event in events) == HELLO.text
    info = get(server.port, "/info").json()
    assert info["model_id"] == "scripted"
    assert info["max_total_tokens"] > info["max_input_tokens"] > 0
