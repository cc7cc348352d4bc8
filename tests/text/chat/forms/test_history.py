"""Earlier calls and results as the templates of each form take them.

Covers `forms/short_ids`.
"""

import re
from typing import Any

import pytest

from frontend.api.openai.templates import HARMONY, MISTRAL, NAMED
from rowcast.errors import InvalidField
from rowcast.text.chat.forms.harmony import HARMONY as HARMONY_FORM
from rowcast.text.chat.forms.short_ids import short_id, with_short_ids
from rowcast.text.chat.template import ChatTemplate

LONG = "call_0123456789abcdef01234567"
TOOLS = [{"type": "function", "function": {"name": "get"}}]


def call(name: str, number: str, arguments: str = '{"a": 1}') -> dict[str, Any]:
    return {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}}


def called(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "tool_calls": list(calls)} | more


def result(number: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": number, "content": content}


USER = {"role": "user", "content": "Hi"}


def test_a_short_id_stays_and_any_other_becomes_one() -> None:
    assert short_id("abcDEF123") == "abcDEF123"
    for other in (LONG, "", "abc-ef123", "abcDEF1234", "ähnliches"):
        assert re.fullmatch(r"[A-Za-z0-9]{9}", short_id(other))
        assert short_id(other) == short_id(other)
    assert len({short_id(f"call_{number}") for number in range(1000)}) == 1000


def test_a_call_and_its_result_have_the_same_id() -> None:
    first, second = with_short_ids([called(call("get", LONG)), result(LONG, "1")])
    assert first["tool_calls"][0]["id"] == second["tool_call_id"] == short_id(LONG)
    assert with_short_ids([USER]) == [USER]


@pytest.mark.parametrize("template", [MISTRAL, NAMED], ids=["mistral", "named"])
def test_templates_that_refuse_other_ids_get_short_ones(template: str) -> None:
    chat = ChatTemplate(template)
    text = chat.render([USER, called(call("get", LONG)), result(LONG, "1")], tools=TOOLS)
    assert text.count(short_id(LONG)) == 2
    assert LONG not in text
    assert '{"a": 1}' in text


def test_without_a_call_to_answer_the_template_still_refuses() -> None:
    with pytest.raises(InvalidField, match="without a call"):
        ChatTemplate(HARMONY).render([USER, result(LONG, "1")], tools=TOOLS)


def test_calls_in_channels_are_one_to_a_message_with_its_result() -> None:
    messages = [
        USER,
        called(call("get", "1"), call("put", "2"), call("now", "3", "{}"), content="So."),
        result("2", "b"),
        result("1", "a"),
        result("3", "c"),
        USER,
    ]
    text = ChatTemplate(HARMONY).render(messages, tools=TOOLS)
    _, _, text = text.partition("Hi<|end|>")
    commentary = "<|channel|>commentary"
    expected = (
        "<|start|>assistant<|channel|>analysis<|message|>So.<|end|>",
        f'<|start|>assistant to=functions.get{commentary} json<|message|>{{"a": 1}}<|call|>',
        f'<|start|>functions.get to=assistant{commentary}<|message|>"a"<|end|>',
        f'<|start|>assistant to=functions.put{commentary} json<|message|>{{"a": 1}}<|call|>',
        f'<|start|>functions.put to=assistant{commentary}<|message|>"b"<|end|>',
        f"<|start|>assistant to=functions.now{commentary} json<|message|>{{}}<|call|>",
        f'<|start|>functions.now to=assistant{commentary}<|message|>"c"<|end|>',
        "<|start|>user<|message|>Hi<|end|><|start|>assistant",
    )
    assert text == "".join(expected)


def test_results_that_answer_no_call_are_not_lost() -> None:
    messages = [called(call("get", "1"), call("put", "2")), result("x", "c"), result("2", "b")]
    found = HARMONY_FORM.history(messages)
    assert [each.get("content") for each in found] == ["", "", "b", "c"]
    assert HARMONY_FORM.history([]) == []
    assert HARMONY_FORM.history([result("x", "c"), USER]) == [result("x", "c"), USER]


def test_reasoning_before_a_call_has_the_templates_name_and_takes_the_text_with_it() -> None:
    chat = ChatTemplate(HARMONY)
    one = called(call("get", "1"), reasoning_content="Hm.")
    assert "analysis<|message|>Hm.<|end|>" in chat.render([USER, one], tools=TOOLS)
    both = one | {"content": "Let me see."}
    text = chat.render([USER, both], tools=TOOLS)
    assert "analysis<|message|>Hm.\n\nLet me see.<|end|>" in text
    answer = {"role": "assistant", "content": "Sunny.", "reasoning_content": "Hm."}
    text = chat.render([USER, answer], tools=TOOLS)
    assert text.endswith("final<|message|>Sunny.<|end|><|start|>assistant")
