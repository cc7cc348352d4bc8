"""Q-08: embeddings by OpenAI's own client, beside chats, whatever is killed meanwhile."""

import hashlib
import threading
from collections.abc import Iterator

import pytest
from openai import BadRequestError, OpenAI

from contract.asking import post
from contract.conftest import Stack
from engine import rule
from processes import Running
from scripted_replies import scripted_reply

TEXTS = [f"Text {at}: {'and more ' * (at % 7)}" for at in range(90)]


def client_of(url: str, token: str = "none") -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0, timeout=60)


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[OpenAI]:
    with client_of(stack.proxy.url, stack.authorization.removeprefix("Bearer ")) as made:
        yield made


def normalized(prompt: bytes, pooling: str = "last", dimensions: int = 64) -> list[float]:
    numbers = rule.vector(prompt, pooling)[:dimensions]
    length = sum(each * each for each in numbers) ** 0.5
    return [each / length for each in numbers]


def test_q08_the_official_client(client: OpenAI) -> None:
    """It requests base64 unless told otherwise, and decodes that."""
    answer = client.embeddings.create(model="scripted", input=TEXTS)
    assert [each.index for each in answer.data] == list(range(len(TEXTS)))
    for each, text in zip(answer.data, TEXTS, strict=True):
        assert each.embedding == pytest.approx(normalized(text.encode()), abs=1e-7)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == sum(map(len, TEXTS))
    plain = client.embeddings.create(model="scripted", input=TEXTS, encoding_format="float")
    assert [each.embedding for each in plain.data] == [each.embedding for each in answer.data]


def test_q08_dimensions_and_token_ids(client: OpenAI) -> None:
    answer = client.embeddings.create(
        model="scripted", input=[list(b"Hello")], dimensions=5, extra_body={"pooling": "mean"}
    )
    wanted = normalized(b"Hello", "mean", 5)
    assert answer.data[0].embedding == pytest.approx(wanted, abs=1e-7)


def test_q08_errors_have_openais_form(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as found:
        client.embeddings.create(model="scripted", input="Hello", dimensions=65)
    assert found.value.param == "dimensions"


def test_q08_a_token_is_needed_at_the_proxy(stack: Stack) -> None:
    answer = post(stack.proxy.port, {"model": "scripted", "input": "a"}, "/v1/embeddings")
    assert answer.status == 401


def test_q08_beside_a_chat_neither_changes(client: OpenAI) -> None:
    found: list[list[float]] = []

    def embed() -> None:
        for _ in range(5):
            answer = client.embeddings.create(model="scripted", input=TEXTS)
            found.extend(each.embedding for each in answer.data)

    embedding = threading.Thread(target=embed)
    embedding.start()
    for seed in range(8):
        reply = client.completions.create(
            model="scripted", prompt="Hello", seed=seed, max_tokens=200, extra_body={"top_k": 10}
        )
        assert reply.choices[0].text == scripted_reply("Hello", seed, 200).text
    embedding.join(60)
    assert len(found) == 5 * len(TEXTS)
    assert found == found[: len(TEXTS)] * 5


@pytest.mark.slow
def test_q08_a_real_models_bytes_do_not_depend_on_the_batch(draft: Running) -> None:
    with client_of(draft.url) as client:
        whole = client.embeddings.create(model="draft", input=TEXTS[:40])
        dimensions = client.models.retrieve("draft").model_extra["dimensions"]  # type: ignore[index]
        assert len(whole.data[0].embedding) == dimensions
        for at in (0, 7, 39):
            (alone,) = client.embeddings.create(model="draft", input=TEXTS[at]).data
            assert alone.embedding == whole.data[at].embedding
        digests = {hashlib.sha256(repr(each.embedding).encode()).digest() for each in whole.data}
    assert len(digests) == 40
