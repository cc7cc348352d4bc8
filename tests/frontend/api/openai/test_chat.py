"""POST /v1/chat/completions: messages to a prompt, the reply to a message.

Covers `bodies/messages`, `chat/messages`, `parsed_request`, `response/logprobs`,
`openai/response/types`.
"""

from typing import Any

import pytest

from ...serving import Served, spoken
from .asking import CHAT, HELLO, HELLO_TEXT, chat, events, reasons, refusal, texts


def seated_prompt(served: Served) -> str:
    """Return the text that the engine was fed."""
    fed = [feed.tokens for step in served.engine.steps for feed in step]
    return bytes(token for tokens in fed for token in tokens if token < 256).decode()


def test_a_chat_is_openais_object(served: Served) -> None:
    answer = chat(served, seed=4, max_tokens=20)
    assert answer["id"].startswith("chatcmpl-")
    assert answer["object"] == "chat.completion"
    assert answer["system_fingerprint"] == "scripted-1"
    assert answer["seed"] == 4
    (choice,) = answer["choices"]
    text = spoken(HELLO_TEXT, 4, 20)
    assert choice.pop("message") == {"role": "assistant", "content": text, "refusal": None}
    assert choice == {"index": 0, "finish_reason": "length", "logprobs": None}
    assert answer["usage"]["prompt_tokens"] == len(HELLO_TEXT)
    assert answer["usage"]["completion_tokens"] == 20


def test_a_stream_says_the_same_as_the_whole(served: Served) -> None:
    asked = {"n": 3, "seed": 3, "max_tokens": 40}
    whole = chat(served, **asked)["choices"]
    chunks = events(served, CHAT, **asked)
    assert texts(chunks, 3) == [choice["message"]["content"] for choice in whole]
    assert reasons(chunks) == {choice["index"]: choice["finish_reason"] for choice in whole}
    roles = [choice["delta"].get("role") for chunk in chunks for choice in chunk["choices"]]
    assert roles[:3] == ["assistant"] * 3
    assert set(roles[3:]) == {None}
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}


def test_content_may_come_in_parts(served: Served) -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    messages = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": parts, "name": "Ann"},
        {"role": "assistant", "content": None},
        {"role": "tool", "content": "7", "tool_call_id": "a"},
    ]
    chat(served, messages=messages, max_tokens=1)
    wanted = "system: Be kind.\nuser: Hel\nlo\nassistant: \ntool: 7\nassistant:"
    assert seated_prompt(served) == wanted


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "image", "image": "https://example.com/image.jpg"},
    ],
)
def test_a_model_that_reads_text_refuses_images(served: Served, part: dict[str, Any]) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "what?"}, part]}]
    error = refusal(served.post(CHAT, model="scripted", messages=messages))
    assert error["param"] == "messages[0].content[1]"
    assert "text only" in error["message"]


def test_a_reply_without_a_limit_may_fill_the_context(served: Served) -> None:
    chat(served)
    (seating,) = served.engine.seatings
    assert seating.params.max_tokens == served.engine.context_length - len(HELLO_TEXT)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_has_two_names(served: Served, name: str) -> None:
    assert chat(served, seed=4, **{name: 3})["usage"]["completion_tokens"] == 3


def test_logprobs_name_tokens_by_text_and_bytes(served: Served) -> None:
    answer = chat(served, seed=3, max_tokens=9, logprobs=True, top_logprobs=2)
    (choice,) = answer["choices"]
    content = choice["logprobs"]["content"]
    raw = b"".join(bytes(each["bytes"]) for each in content)
    assert raw.decode() == choice["message"]["content"]
    assert all(len(each["top_logprobs"]) == 2 and each["logprob"] < 0 for each in content)
    chunks = events(served, CHAT, seed=3, max_tokens=9, logprobs=True, top_logprobs=2)
    scores = [choice["logprobs"] for chunk in chunks for choice in chunk["choices"]]
    assert [each for score in scores if score for each in score["content"]] == content


def test_the_last_message_may_be_continued(served: Served) -> None:
    messages = [*HELLO, {"role": "assistant", "content": "Hi"}]
    chat(served, messages=messages, continue_final_message=True, max_tokens=1)
    assert seated_prompt(served) == "user: Hello\nassistant: Hi"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "messages[0].role"),
        ({"messages": [{"content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        (
            {"messages": [{"role": "user", "content": [{"text": "a"}]}]},
            "messages[0].content[0].type",
        ),
        ({"max_tokens": 0}, "max_tokens"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"functions": [{"name": "f"}]}, "functions"),
    ],
)
def test_what_cannot_be_is_refused(served: Served, fields: dict[str, Any], param: str) -> None:
    asked = {"model": "scripted", "messages": HELLO} | fields
    assert refusal(served.post(CHAT, **asked))["param"] == param
    assert served.engine.seatings == []
