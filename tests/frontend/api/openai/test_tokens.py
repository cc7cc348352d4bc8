"""Tokenizing as vLLM does: texts, messages with every prompt option, and the tokens' spelling."""

from typing import Any

import pytest

from rowcast.text.chat.template import ChatTemplate

from ...serving import Served, serving
from .asking import CHAT, HELLO, HELLO_TEXT, chat, refusal

TEMPLATE = """\
{{ mood }}{% for tool in tools or [] %}<tool_call>{{ tool.function.name }}{% endfor %}
{%- for message in messages %}{{ message.role }}: {{ message.content }}
{% endfor %}
{%- if add_generation_prompt %}assistant:{% endif %}"""
TOOL = {"type": "function", "function": {"name": "now"}}


def tokenized(served: Served, **fields: Any) -> dict[str, Any]:
    response = served.post("/tokenize", **fields)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.get_json()
    assert found["count"] == len(found["tokens"])
    return found


def prompt_of(served: Served, **fields: Any) -> str:
    """Return the text of the prompt that these messages make."""
    return bytes(tokenized(served, messages=HELLO, **fields)["tokens"]).decode()


def test_a_text(served: Served) -> None:
    assert tokenized(served, prompt="Hé") == {
        "count": 3,
        "max_model_len": 4096,
        "tokens": [72, 195, 169],
        "token_strs": None,
    }


def test_tokens_are_spelled_as_the_vocabulary_spells_them(served: Served) -> None:
    """A space, a line feed and parts of a character are not spelled as they decode."""
    found = tokenized(served, prompt="a b\né", return_token_strs=True)
    assert found["token_strs"] == ["a", "Ġ", "b", "Ċ", "Ã", "©"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"continue_final_message": True},
        {"tools": [TOOL]},
        {"chat_template_kwargs": {"mood": "Be kind. "}},
        {"tools": [TOOL], "chat_template_kwargs": {"mood": "sad"}, "continue_final_message": True},
    ],
)
def test_messages_are_the_prompt_that_a_chat_with_them_has(fields: dict[str, Any]) -> None:
    with serving(chat=ChatTemplate(TEMPLATE)) as served:
        prompt = prompt_of(served, **fields)
        usage = chat(served, max_tokens=1, **fields)["usage"]
        (seating,) = served.engine.seatings
        assert seating.prompt_length == usage["prompt_tokens"] == len(prompt.encode())


def test_what_shapes_a_prompt_is_seen_in_it() -> None:
    with serving(chat=ChatTemplate(TEMPLATE)) as served:
        assert prompt_of(served) == HELLO_TEXT
        assert prompt_of(served, add_generation_prompt=False) == "user: Hello\n"
        assert prompt_of(served, continue_final_message=True) == "user: Hello"
        assert prompt_of(served, tools=[TOOL]) == f"<tool_call>now{HELLO_TEXT}"
        assert prompt_of(served, chat_template_kwargs={"mood": "!"}) == f"!{HELLO_TEXT}"


@pytest.mark.parametrize("path", ["/tokenize", CHAT])
def test_a_prompt_has_one_ending(served: Served, path: str) -> None:
    both = {"continue_final_message": True, "add_generation_prompt": True}
    error = refusal(served.post(path, model="scripted", messages=HELLO, **both))
    assert error["param"] == "continue_final_message"
    assert "add_generation_prompt" in error["message"]
