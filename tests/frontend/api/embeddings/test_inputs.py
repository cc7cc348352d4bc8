"""Inputs are counted before they are tokenized, tokenized in groups, and cut only if requested."""

from typing import Any

import pytest

from ...serving import Served
from ..openai.asking import refusal
from .asking import PATH, expected, vectors


def sent(served: Served, **fields: Any) -> dict[str, Any]:
    return refusal(served.post(PATH, model="scripted", **fields))


def test_too_many_inputs_are_refused(served: Served) -> None:
    assert "has 2049 entries; the limit is 2048" in sent(served, input=["a"] * 2049)["message"]
    assert "has 2049 entries" in sent(served, input=[[1]] * 2049)["message"]


@pytest.mark.parametrize(("text", "tokens"), [("a" * 4097, "at least 4097"), ([7] * 4097, "4097")])
def test_an_input_that_is_too_long_is_named_with_both_numbers(
    served: Served, text: Any, tokens: str
) -> None:
    short: Any = "a" if isinstance(text, str) else [1]
    error = sent(served, input=[short, text, short])
    assert error["code"] == "context_length_exceeded"
    assert f"input[1] has {tokens} tokens; the model's context holds 4096" in error["message"]
    assert served.engine.seatings == []


def test_an_input_may_fill_the_context(served: Served) -> None:
    assert vectors(served, input="a" * 4096) == [expected(b"a" * 4096)]


@pytest.mark.parametrize(
    ("most", "left"), [(3, b"llo"), (5, b"Hello"), (99, b"Hello"), (-1, b"Hello")]
)
@pytest.mark.parametrize("as_tokens", [True, False])
def test_the_last_tokens_are_what_is_left_of_a_cut_input(
    served: Served, most: int, left: bytes, as_tokens: bool
) -> None:
    given: Any = list(b"Hello") if as_tokens else "Hello"
    assert vectors(served, input=given, truncate_prompt_tokens=most) == [expected(left)]


def test_a_text_of_any_length_is_cut_to_the_context(served: Served) -> None:
    text = "a" * 9000 + "b" * 4000
    cut = text[-4096:].encode()
    assert vectors(served, input=["x", text], truncate_prompt_tokens=-1) == [
        expected(b"x"),
        expected(cut),
    ]


def test_long_texts_are_tokenized_in_groups(served: Served) -> None:
    texts = [chr(97 + at % 26) * (at * 90 + 1) for at in range(45)]
    assert sum(map(len, texts)) > 1 << 16
    assert vectors(served, input=texts) == [expected(text.encode()) for text in texts]
