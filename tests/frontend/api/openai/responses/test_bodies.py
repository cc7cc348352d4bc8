"""Bodies of /v1/responses: what is refused, under which name; what the model gets of the rest.

Covers `responses/request/body`, `responses/request/items`, `request/reading`,
`request/conversation`, `responses/request/chat_body`, `request/prepared`.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from rowcast.frontend.api.openai.responses.request.conversation import messages_of
from rowcast.frontend.api.openai.responses.request.items import (
    FunctionCallItem,
    FunctionOutputItem,
    InputItem,
    InputTextPart,
    MessageItem,
    OutputTextPart,
    ReasoningItem,
    ReasoningPart,
    RefusedPart,
)
from rowcast.frontend.api.openai.responses.request.prepared import (
    Read,
    read_record,
    with_before,
)
from rowcast.frontend.request.request import Body
from rowcast.text.chat.template import ChatTemplate

from ....serving import Served, serving
from ..asking import refusal
from .requesting import respond, send

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
SHOWING = (
    "{{ reasoning_effort }} {{ enable_thinking }} "
    "{% for message in messages %}{{ message.content }}{% endfor %}"
)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as made:
        yield made


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("input", {"input": []}),
        ("input", {"input": None}),
        ("input[0].type", {"input": [{"type": "item_reference", "id": "msg_1"}]}),
        ("input[0].content[0].type", {"input": [{"role": "user", "content": [{"type": "no"}]}]}),
        ("input[0].role", {"input": [{"role": "none", "content": "x"}]}),
        ("input[0].call_id", {"input": [{"type": "function_call_output", "output": "x"}]}),
        ("tools[0].type", {"tools": [{"type": "web_search"}]}),
        ("tools[0].type", {"tools": [{"name": "f"}]}),
        (
            "tool_choice.tools[0].type",
            {
                "tools": [{"type": "function", "name": "f"}],
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"name": "f"}],
                },
            },
        ),
        ("input[0].summary[0].type", {"input": [{"type": "reasoning", "summary": [{}]}]}),
        ("tools[0].name", {"tools": [{"type": "function"}]}),
        ("tool_choice", {"tool_choice": "required"}),
        (
            "tool_choice.name",
            {
                "tools": [{"type": "function", "name": "f"}],
                "tool_choice": {"type": "function", "name": "g"},
            },
        ),
        ("max_output_tokens", {"max_output_tokens": 0}),
        ("max_tokens", {"max_tokens": 5}),
        ("temperature", {"temperature": "hot"}),
        ("text.format.schema", {"text": {"format": {"type": "json_schema", "name": "a"}}}),
        (
            "text.format.schema",
            {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": 5}}}},
        ),
        ("truncation", {"truncation": "auto"}),
        ("conversation", {"conversation": "conv_1"}),
        ("context_management", {"context_management": [{"type": "compaction"}]}),
        ("n", {"n": 2}),
        ("messages", {"messages": [{"role": "user", "content": "x"}]}),
        ("top_logprobs", {"top_logprobs": 3}),
        ("stream_options", {"stream_options": {"include_obfuscation": False}}),
        ("metadata", {"metadata": {"a": 5}}),
        ("store", {"background": True, "store": False}),
        ("items_before", {"items_before": []}),
        ("inputs", {"inputs": "x"}),
    ],
)
def test_what_is_refused(served: Served, field: str, fields: dict[str, Any]) -> None:
    error = refusal(send(served, **fields))
    assert error["type"] == "invalid_request_error"
    assert error["param"] is not None
    assert error["param"].startswith(field)
    assert error["message"].startswith(field)


def test_what_has_no_effect(served: Served) -> None:
    plain = respond(served, seed=1, max_output_tokens=4)
    other = respond(
        served,
        seed=1,
        max_output_tokens=4,
        n=1,
        include=["reasoning.encrypted_content"],
        truncation="disabled",
        service_tier="auto",
        prompt_cache_key="k",
        safety_identifier="s",
        context_management=[],
        conversation=None,
        max_tool_calls=3,
        text={"verbosity": "low"},
    )
    assert [item["content"] for item in other["output"]] == [
        item["content"] for item in plain["output"]
    ]
    assert (other["prompt_cache_key"], other["max_tool_calls"]) == ("k", 3)


def test_unknown_models_are_refused(served: Served) -> None:
    for background in (False, True):
        error = refusal(send(served, model="other", background=background), 404)
        assert error["code"] == "model_not_found"


def test_a_schema_is_followed(served: Served) -> None:
    form = {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}
    found = respond(served, seed=4, text={"format": form}, max_output_tokens=400)
    assert found["text"]["format"] == {**form, "description": None}
    assert found["output"][0]["content"][0]["text"].lstrip().startswith("{")


def test_effort_reaches_the_template() -> None:
    with serving(chat=ChatTemplate(SHOWING)) as shown:
        for effort, text in (("low", "low  Hello"), ("none", "none False Hello")):
            answer = shown.post(
                "/v1/responses/input_tokens",
                model="scripted",
                input="Hello",
                reasoning={"effort": effort},
            )
            assert answer.get_json()["input_tokens"] == len(text)


def message(role: Any, text: str) -> MessageItem:
    part = OutputTextPart(text) if role == "assistant" else InputTextPart(text)
    return MessageItem(role, [part])


def roles(instructions: str | None, *items: InputItem) -> list[tuple[str, Any]]:
    found = messages_of(instructions, items)
    return [(each.__struct_config__.tag, each.content) for each in found]  # type: ignore[misc]


def test_instructions_join_a_system_message() -> None:
    user = message("user", "Hello")
    assert roles("Be brief.", user) == [("system", "Be brief."), ("user", "Hello")]
    developer = message("developer", "Be kind.")
    assert roles("Be brief.", developer, user)[0] == ("system", "Be brief.\n\nBe kind.")


def test_what_the_model_has_generated_is_one_message_for_each_turn() -> None:
    thought = ReasoningItem(content=[ReasoningPart("Hm.")])
    call = FunctionCallItem("call_1", "f", "{}")
    result = FunctionOutputItem("call_1", [InputTextPart("5")])
    found = messages_of(
        None,
        [
            message("user", "How many?"),
            thought,
            message("assistant", "Let me see."),
            call,
            call,
            result,
            thought,
            message("assistant", "Five."),
            message("assistant", "Sure."),
        ],
    )
    assert [each.__struct_config__.tag for each in found] == [
        *("user", "assistant", "tool"),
        *("assistant", "assistant"),
    ]
    asked: Any = found[1]
    assert (asked.reasoning_content, asked.content) == ("Hm.", "Let me see.")
    assert [each.id for each in asked.tool_calls] == ["call_1", "call_1"]
    assert found[2].content == "5"


def test_refusals_are_text_of_the_model() -> None:
    found: Any = messages_of(None, [MessageItem("assistant", [RefusedPart("No.")])])
    assert found[0].content[0].refusal == "No."


def test_a_recorded_body_has_the_items_before_its_own() -> None:
    body = with_before({"model": "m", "input": "b"}, [{"type": "message", **HELLO}])
    read = read_record(Body(lambda: body))
    assert read.items == [MessageItem("user", "a"), MessageItem("user", "b")]
    plain = read_record(Body(lambda: b'{"model": "m", "input": "b", "max_output_tokens": 4.0}'))
    assert plain == Read(plain.body)
    assert plain.body.max_output_tokens == 4


HELLO = {"role": "user", "content": "a"}
