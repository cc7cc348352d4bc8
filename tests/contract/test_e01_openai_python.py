"""E-01, E-03, V-18: OpenAI's own Python client as a drop-in, sync and async, through the proxy."""

import asyncio
from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from processes import Running, until
from scripted_replies import long_reply, scripted_reply

from .conftest import Stack

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
HELLO_TEXT = "user: Hello\nassistant:"


@pytest.fixture
def client(stack: Stack) -> Iterator[openai.OpenAI]:
    token = stack.authorization.removeprefix("Bearer ")
    with openai.OpenAI(base_url=f"{stack.proxy.url}/v1", api_key=token, max_retries=0) as made:
        yield made


def direct(server: Running, **options: float) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{server.url}/v1", api_key="EMPTY", max_retries=0, timeout=options.get("timeout")
    )


@pytest.mark.slow
def test_e01_models(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert client.models.retrieve(model.id) == model
    assert (model.object, model.owned_by) == ("model", "rowcast")


def test_e01_completion(client: openai.OpenAI) -> None:
    reply = scripted_reply("Hello", 11, 20)
    completion = client.completions.create(
        model="falcon40b", prompt="Hello", seed=11, max_tokens=20
    )
    assert completion.choices[0].text == reply.text
    assert completion.choices[0].finish_reason == reply.reason
    assert completion.system_fingerprint == "scripted-1"


def test_e01_completion_streamed(client: openai.OpenAI) -> None:
    stream = client.completions.create(
        model="scripted", prompt="Hello", seed=11, max_tokens=20, n=2, stream=True
    )
    texts = ["", ""]
    for chunk in stream:
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts[0] == scripted_reply("Hello", 11, 20).text
    assert texts[1] not in {"", texts[0]}


def test_e01_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="scripted", messages=HELLO, seed=11, max_completion_tokens=20
    )
    assert answer.choices[0].message.content == scripted_reply(HELLO_TEXT, 11, 20).text
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len(HELLO_TEXT)


def test_e01_chat_streamed(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="scripted",
        messages=HELLO,
        seed=11,
        max_tokens=20,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    assert text == scripted_reply(HELLO_TEXT, 11, 20).text
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 20


class Person(BaseModel):
    age: int
    married: bool


def test_e01_a_reply_is_parsed_into_a_model(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(
        model="scripted", messages=HELLO, response_format=Person, seed=3, max_tokens=900
    )
    assert isinstance(answer.choices[0].message.parsed, Person)


def test_e01_asynchronously(stack: Stack) -> None:
    async def both() -> list[str]:
        token = stack.authorization.removeprefix("Bearer ")
        async with openai.AsyncOpenAI(base_url=f"{stack.proxy.url}/v1", api_key=token) as client:
            answers = await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model="scripted", messages=HELLO, seed=seed, max_tokens=9
                    )
                    for seed in range(8)
                )
            )
            stream = await client.completions.create(
                model="scripted", prompt="Hello", seed=9, max_tokens=9, stream=True
            )
            streamed = "".join([chunk.choices[0].text async for chunk in stream])
        return [*(answer.choices[0].message.content or "" for answer in answers), streamed]

    *texts, streamed = asyncio.run(both())
    assert texts == [scripted_reply(HELLO_TEXT, seed, 9).text for seed in range(8)]
    assert streamed == scripted_reply("Hello", 9, 9).text


def test_e01_errors_are_the_clients_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.completions.create(model="gpt-4", prompt="a")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.completions.create(model="scripted", prompt="a", temperature=3)
    assert wrong.value.param == "temperature"
    with pytest.raises(openai.AuthenticationError) as stranger:
        client.with_options(api_key="nonsense").models.list()
    assert stranger.value.code == "invalid_api_key"


def test_e01_the_request_has_an_id(client: openai.OpenAI) -> None:
    raw = client.models.with_raw_response.list()
    assert raw.headers["x-request-id"] == raw.request_id


@pytest.mark.slow
def test_e03_closing_a_stream_frees_the_row(paced_server: Running) -> None:
    with direct(paced_server) as client:
        stream = client.completions.create(
            model="scripted",
            prompt="Hello",
            seed=long_reply("Hello"),
            max_tokens=2048,
            stream=True,
        )
        next(iter(stream))
        until(lambda: paced_server.rows_seated() == 1, "the row is seated")
        stream.close()
    until(lambda: paced_server.rows_seated() == 0, "the row is free")


@pytest.mark.slow
def test_e03_a_timeout_frees_the_row(paced_server: Running) -> None:
    with direct(paced_server, timeout=1.5) as client, pytest.raises(openai.APITimeoutError):
        client.completions.create(
            model="scripted", prompt="Hello", seed=long_reply("Hello"), max_tokens=2048
        )
    until(lambda: paced_server.rows_seated() == 0, "the row is free")
