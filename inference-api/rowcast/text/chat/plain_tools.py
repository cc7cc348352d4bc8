"""Tools for a chat template without support for them: in the messages, in a form of our own.

    system      the tools, and how to call one: <tool_call>{"name": …, "arguments": {…}}</tool_call>
    assistant   earlier calls, in that form
    user        results of tools: <tool_response>…</tool_response>

Consecutive results are one message, because many templates require user and assistant to take
turns. docs/openai.md shows the wording, which is a part of prompts.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rowcast.text.chat.forms.tagged import TAGGED

Message = Mapping[str, Any]

_BEFORE = "You can call these tools. Each line is one tool:"
_HOW = (
    "To call a tool, write this and nothing else, with the tool's name and an object of arguments "
    "that fits its parameters:\n"
    f'{TAGGED.opening}{{"name": "…", "arguments": {{…}}}}{TAGGED.closing}\n'
    "The answer comes in <tool_response> tags."
)
_SYSTEM = frozenset({"system", "developer"})


def wording(tools: Sequence[Mapping[str, Any]]) -> str:
    """Return the text that describes the tools to the model."""
    lines = [json.dumps(tool.get("function", tool), ensure_ascii=False) for tool in tools]
    return "\n".join([_BEFORE, *lines, _HOW])


def with_tools(
    messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], *, system: bool = True
) -> list[Message]:
    """Return messages that describe the tools; `system`: if the template takes a system message."""
    others, text = list(_without_roles(messages)), wording(tools)
    if others and others[0]["role"] in _SYSTEM:
        first, *others = others
        text = f"{first['content']}\n\n{text}"
    if system:
        return [{"role": "system", "content": text}, *others]
    if others and others[0]["role"] == "user":
        first, *others = others
        text = f"{text}\n\n{first['content']}"
    return [{"role": "user", "content": text}, *others]


def _without_roles(messages: Sequence[Message]) -> Iterator[Message]:
    """Yield the messages with calls and results as text."""
    answers: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            answers.append(f"<tool_response>{message['content']}</tool_response>")
        elif answers and message["role"] == "user":
            yield {**message, "content": "\n".join([*answers, message["content"]])}
            answers = []
        else:
            yield from _answered(answers)
            answers = []
            yield _with_calls(message)
    yield from _answered(answers)


def _answered(answers: Sequence[str]) -> Iterator[Message]:
    if answers:
        yield {"role": "user", "content": "\n".join(answers)}


def _with_calls(message: Message) -> Message:
    calls = message.get("tool_calls")
    if not calls:
        return message
    texts = [message.get("content") or "", *map(_call_text, calls)]
    others = {name: each for name, each in message.items() if name != "tool_calls"}
    return {**others, "content": "\n".join(text for text in texts if text)}


def _call_text(call: Mapping[str, Any]) -> str:
    function = call["function"]
    written = {"name": function["name"], "arguments": function["arguments"]}
    return f"{TAGGED.opening}{json.dumps(written, ensure_ascii=False)}{TAGGED.closing}"
