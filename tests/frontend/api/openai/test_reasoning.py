"""Models that think: reasoning separate from the text, streamed and whole; rules apply after it.

Covers `thinking`, `reply_reader`.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rowcast.text.chat.template import ChatTemplate

from ...serving import Served, serving
from .asking import CHAT, HELLO, chat, events, reasons, refusal
from .saying import SayingEngine
from .thinking import CHANNELS, ITSELF, OPENED

THOUGHT = "The user greets.\nAn answer: größer < 3 </thin 😀."
SPEAKING = f"{THOUGHT}\n</think>\n\nHello to you."
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]
OFF = {"chat_template_kwargs": {"enable_thinking": False}}


@pytest.fixture(scope="module", params=[ITSELF, OPENED], ids=["itself", "opened"])
def thinker(request: pytest.FixtureRequest) -> Iterator[tuple[Served, SayingEngine, str]]:
    """A server whose model thinks, its engine, and how its reasoning begins."""
    engine = SayingEngine("")
    with serving(engine=engine, chat=ChatTemplate(request.param)) as served:
        yield served, engine, "" if request.param == OPENED else "<think>\n"


Thinker = tuple[Served, SayingEngine, str]


def message(thinker: Thinker, text: str, **asked: Any) -> dict[str, Any]:
    """Return the message of a reply that thinks, then says `text`."""
    served, engine, begin = thinker
    engine.says(begin + text)
    (choice,) = chat(served, **asked)["choices"]
    found: dict[str, Any] = choice["message"]
    return found


def joined(chunks: list[dict[str, Any]]) -> dict[str, str]:
    """Return each field of the deltas, joined."""
    found: dict[str, str] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            for name, value in choice["delta"].items():
                if isinstance(value, str):
                    found[name] = found.get(name, "") + value
    return found


def test_reasoning_stands_apart(thinker: Thinker) -> None:
    found = message(thinker, SPEAKING)
    assert found["content"] == "Hello to you."
    assert found["reasoning_content"] == found["reasoning"] == THOUGHT


def test_reasoning_is_streamed_apart(thinker: Thinker) -> None:
    served, engine, begin = thinker
    engine.says(begin + SPEAKING)
    chunks = events(served, CHAT)
    found = joined(chunks)
    assert found["content"] == "Hello to you."
    assert found["reasoning_content"] == found["reasoning"] == THOUGHT
    assert reasons(chunks) == {0: "stop"}
    kinds = [name for chunk in chunks for each in chunk["choices"] for name in each["delta"]]
    assert kinds.index("reasoning_content") < len(kinds) - kinds[::-1].index("content")
    deltas = [each["delta"] for chunk in chunks for each in chunk["choices"]]
    assert len([delta for delta in deltas if "reasoning" in delta]) > 10, "it comes bit by bit"


def test_reasoning_is_counted(thinker: Thinker) -> None:
    served, engine, begin = thinker
    engine.says(begin + SPEAKING)
    tokens = len((begin + SPEAKING.partition("</think>")[0] + "</think>").encode())
    usage = chat(served, n=2)["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 2 * tokens
    last = events(served, CHAT, stream_options={"include_usage": True})[-1]["usage"]
    assert last["completion_tokens_details"]["reasoning_tokens"] == tokens


def test_a_reply_that_is_cut_while_it_thinks_has_no_text(thinker: Thinker) -> None:
    served, engine, begin = thinker
    engine.says(begin + SPEAKING)
    (choice,) = chat(served, max_tokens=len(begin) + 9)["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"] == ""
    assert choice["message"]["reasoning"] == THOUGHT[:9].rstrip()


def test_thinking_is_turned_off_by_the_template(thinker: Thinker) -> None:
    served, engine, _ = thinker
    engine.says("Hello </think> you.")
    (choice,) = chat(served, **OFF)["choices"]
    assert choice["message"]["content"] == "Hello </think> you."
    assert "reasoning" not in choice["message"]
    assert "reasoning_content" not in joined(events(served, CHAT, **OFF))


RULES: list[tuple[dict[str, Any], str]] = [
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}, '{"n": 7}'),
    ({"guided_regex": "[a-c]+"}, "abc"),
    ({"guided_choice": ["yes", "no"]}, "no"),
    ({"guided_grammar": 'start: "x" reply\nreply: "y"'}, "xy"),
]


@pytest.mark.parametrize(("asked", "text"), RULES)
def test_a_rule_holds_for_what_follows_the_reasoning(
    thinker: Thinker, asked: dict[str, Any], text: str
) -> None:
    found = message(thinker, f"{THOUGHT}\n</think>\n\n{text}", **asked)
    assert found["content"] == text
    assert found["reasoning"] == THOUGHT
    served, engine, _ = thinker
    engine.says(text)
    (choice,) = chat(served, **asked, **OFF)["choices"]
    assert choice["message"]["content"] == text


def test_a_rule_holds_though_the_model_says_anything(thinker: Thinker) -> None:
    served, engine, begin = thinker
    engine.says(f"{begin}Hm. </think>", ends=False)  # from here on, only allowed bytes
    for seed in range(4):
        (choice,) = chat(served, seed=seed, max_tokens=300, guided_json=SCHEMA)["choices"]
        assert choice["message"]["reasoning"] == "Hm."
        if choice["finish_reason"] == "stop":
            assert type(json.loads(choice["message"]["content"])["n"]) is int


def test_a_call_that_must_be_follows_the_reasoning(thinker: Thinker) -> None:
    call = '<tool_call>{"name": "f", "arguments": {"n": 7}}</tool_call>'
    found = message(
        thinker,
        f"{THOUGHT}\n</think>\n\n{call}",
        tools=TOOLS,
        tool_choice="required",
        parallel_tool_calls=False,
    )
    assert found["reasoning"] == THOUGHT
    assert found["content"] is None
    assert [each["function"]["arguments"] for each in found["tool_calls"]] == ['{"n": 7}']


def test_a_call_within_the_reasoning_is_none(thinker: Thinker) -> None:
    call = '<tool_call>{"name": "f", "arguments": {"n": 7}}</tool_call>'
    found = message(thinker, f"Perhaps {call}</think>\n\nNo.", tools=TOOLS)
    assert found["reasoning"] == f"Perhaps {call}"
    assert found["content"] == "No."
    assert "tool_calls" not in found


def test_reasoning_can_be_sent_back(thinker: Thinker) -> None:
    served, _, _ = thinker
    costs = []
    for name in ("reasoning_content", "reasoning"):
        said = {"role": "assistant", "content": "Hello.", name: "A greeting."}
        sent_back = chat(served, messages=[*HELLO, said, *HELLO], max_tokens=1)
        costs.append(sent_back["usage"]["prompt_tokens"])
    plain = [*HELLO, {"role": "assistant", "content": "Hello."}, *HELLO]
    without = chat(served, messages=plain, max_tokens=1)["usage"]["prompt_tokens"]
    assert costs[0] == costs[1]
    assert costs[0] - without == len("<think>\nA greeting.\n</think>\n\n")
    refused = served.post(
        CHAT,
        model="scripted",
        messages=[*HELLO, {"role": "assistant", "content": "a", "reasoning": 1}],
    )
    assert refusal(refused)["param"] == "messages[1].reasoning"


def test_a_reply_that_is_continued_may_be_in_the_middle_of_a_thought(thinker: Thinker) -> None:
    served, engine, _ = thinker
    engine.says(SPEAKING)
    begun = {"role": "assistant", "content": "<think>\nI see. "}
    asked: dict[str, Any] = {"messages": [*HELLO, begun], "continue_final_message": True}
    (choice,) = chat(served, **asked)["choices"]
    assert choice["message"]["reasoning"] == THOUGHT
    begun["content"] = "<think>\nI see.\n</think>\n\nSo"
    (choice,) = chat(served, **asked)["choices"]
    assert choice["message"]["content"] == SPEAKING


def test_log_probabilities_have_every_token(thinker: Thinker) -> None:
    served, engine, begin = thinker
    engine.says(begin + SPEAKING)
    (choice,) = chat(served, logprobs=True, seed=3)["choices"]
    assert len(choice["logprobs"]["content"]) == len((begin + SPEAKING).encode())
    chunks = events(served, CHAT, logprobs=True, seed=3)
    streamed = [
        token
        for chunk in chunks
        for each in chunk["choices"]
        for token in (each["logprobs"] or {}).get("content", [])
    ]
    assert streamed == choice["logprobs"]["content"]


def test_a_model_that_may_think_need_not() -> None:
    engine = SayingEngine("  Hello. <think>no</think>")
    with serving(engine=engine, chat=ChatTemplate(ITSELF)) as served:
        (choice,) = chat(served)["choices"]
        assert choice["message"]["content"] == "  Hello. <think>no</think>"
        assert "reasoning" not in choice["message"]
        engine.says('{"n": 7}')
        (choice,) = chat(served, guided_json=SCHEMA)["choices"]
        assert choice["message"]["content"] == '{"n": 7}'


def test_the_analysis_channel_is_reasoning_and_the_final_one_is_the_text() -> None:
    final = "<|channel|>final<|message|>"
    thought = "<|channel|>analysis<|message|>A greeting.<|end|><|start|>assistant"
    engine = SayingEngine(f"{thought}{final}Hello.")
    with serving(engine=engine, chat=ChatTemplate(CHANNELS)) as served:
        (choice,) = chat(served)["choices"]
        assert choice["message"]["content"] == "Hello."
        assert choice["message"]["reasoning_content"] == "A greeting."
        assert joined(events(served, CHAT))["reasoning"] == "A greeting."
        engine.says(f'{thought}{final}{{"n": 7}}')
        (choice,) = chat(served, guided_json=SCHEMA)["choices"]
        assert choice["message"]["content"] == '{"n": 7}'
        engine.says(f"{final}Hello.")
        (choice,) = chat(served)["choices"]
        assert choice["message"]["content"] == "Hello."
        assert "reasoning" not in choice["message"]


def test_a_template_without_thoughts_changes_nothing(served: Served) -> None:
    usage = chat(served, max_tokens=3)["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0
