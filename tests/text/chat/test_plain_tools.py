"""Tools for templates that do not support them: described, called and answered in messages."""

from typing import Any

from rowcast.text.chat.plain_tools import with_tools, wording
from rowcast.text.chat.template import ChatTemplate

TOOLS = [{"type": "function", "function": {"name": "größe", "parameters": {"type": "object"}}}]
WORDING = """\
You can call these tools. Each line is one tool:
{"name": "größe", "parameters": {"type": "object"}}
To call a tool, write this and nothing else, with the tool's name and an object of arguments that fits its parameters:
<tool_call>{"name": "…", "arguments": {…}}</tool_call>
The answer comes in <tool_response> tags."""  # noqa: E501  # as prompts have it
USER = {"role": "user", "content": "How big?"}
CALL = {"id": "1", "type": "function", "function": {"name": "größe", "arguments": {"a": "ö"}}}
ANSWER = {"role": "tool", "tool_call_id": "1", "content": "3 m"}
# Refuses system messages, and two messages of the same role in a row.
STRICT = """\
{%- for message in messages %}
{%- if (message.role == 'user') != loop.first and not loop.previtem.role != message.role %}
{{- raise_exception('roles must take turns') }}{% endif %}
{%- if message.role not in ['user', 'assistant'] %}{{ raise_exception('no such role') }}{% endif %}
{{- message.role }}: {{ message.content }}
{% endfor %}"""


def test_the_wording_is_a_part_of_prompts_and_stays() -> None:
    assert wording(TOOLS) == WORDING


def test_the_system_message_tells_of_the_tools() -> None:
    assert with_tools([USER], TOOLS) == [{"role": "system", "content": WORDING}, USER]
    kind = {"role": "system", "content": "Be kind."}
    told = with_tools([kind, USER], TOOLS)
    assert told == [{"role": "system", "content": f"Be kind.\n\n{WORDING}"}, USER]
    told = with_tools([kind, USER], TOOLS, system=False)
    assert told == [{"role": "user", "content": f"Be kind.\n\n{WORDING}\n\nHow big?"}]


def test_calls_and_answers_are_text() -> None:
    said = {"role": "assistant", "content": "I look.", "tool_calls": [CALL]}
    _, _, called, answered = with_tools([USER, said, ANSWER, ANSWER], TOOLS)
    assert called == {
        "role": "assistant",
        "content": 'I look.\n<tool_call>{"name": "größe", "arguments": {"a": "ö"}}</tool_call>',
    }
    response = "<tool_response>3 m</tool_response>"
    assert answered == {"role": "user", "content": f"{response}\n{response}"}
    *_, last = with_tools([USER, said, ANSWER, USER], TOOLS)
    assert last == {"role": "user", "content": f"{response}\nHow big?"}
    *_, answered, last = with_tools([USER, said, ANSWER, said], TOOLS)
    assert answered == {"role": "user", "content": response}
    assert last["role"] == "assistant"


def test_a_template_without_a_system_message_is_told_by_the_user() -> None:
    said: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    text = ChatTemplate(STRICT).render([USER, said, ANSWER], tools=TOOLS)
    call = '<tool_call>{"name": "größe", "arguments": {"a": "ö"}}</tool_call>'
    response = "<tool_response>3 m</tool_response>"
    assert text == (f"user: {WORDING}\n\nHow big?\nassistant: {call}\nuser: {response}\n")


def test_without_tools_messages_stay_as_they_are() -> None:
    plain = ChatTemplate.plain().render([USER, ANSWER])
    assert plain == "user: How big?\ntool: 3 m\nassistant:"
