"""A conversation in the form that all dialects of chats share: OpenAI's `ChatBody`.

Errors that name a field of that form get the name of the caller's field, with `named_as_sent`.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

from rowcast.errors import InvalidField
from rowcast.frontend.api.anthropic.body import (
    AssistantTurn,
    AutoChoice,
    Choice,
    ClientTool,
    Conversation,
    NoChoice,
    OneChoice,
    ThinkingConfig,
    ThinkingDisabled,
)
from rowcast.frontend.api.anthropic.turns import messages_of
from rowcast.frontend.api.bodies.types import (
    ChatBody,
    Function,
    JsonSchemaFormat,
    Named,
    Object,
    Sampling,
    SchemaFormat,
    Tool,
    ToolChoice,
)
from rowcast.frontend.api.chat_prompt import fields_renamed

_NAMES = {  # of fields: in a chat, and here
    "response_format.json_schema.schema": "output_config.format.schema",
    "tool_choice.function.name": "tool_choice.name",
}

named_as_sent = partial(fields_renamed, _NAMES)


def chat_body(body: Conversation) -> ChatBody:
    """Return the chat that a body describes."""
    fields = {name: getattr(body, name) for name in Sampling.__struct_fields__}
    output = body.output_config
    if output and output.format:
        fields["response_format"] = SchemaFormat(JsonSchemaFormat(schema=output.format.schema))
    return ChatBody(
        **fields,
        model=body.model,
        messages=messages_of(body.system, body.messages),
        tools=_tools(body.tools or ()) or None,
        tool_choice=_choice(body.tool_choice),
        parallel_tool_calls=not getattr(body.tool_choice, "disable_parallel_tool_use", None),
        continue_final_message=isinstance(body.messages[-1], AssistantTurn),
        chat_template_kwargs={**_switches(body.thinking), **(body.chat_template_kwargs or {})},
    )


def _tools(tools: Sequence[ClientTool]) -> list[Tool]:
    names: set[str] = set()
    for at, tool in enumerate(tools):
        if tool.name in names:
            raise InvalidField(f"tools[{at}].name", f"is {tool.name!r}, as is an earlier tool's")
        names.add(tool.name)
    return [
        Tool(Function(tool.name, tool.description, tool.input_schema, tool.strict))
        for tool in tools
    ]


def _choice(choice: Choice | None) -> Literal["none", "required"] | ToolChoice | None:
    match choice:
        case None | AutoChoice():
            return None
        case NoChoice():
            return "none"
        case OneChoice(name=name):
            return ToolChoice(function=Named(name))
    return "required"


def _switches(thinking: ThinkingConfig | None) -> Object:
    """Return the variables by which templates switch reasoning; they use one of two names."""
    if thinking is None:
        return {}
    enabled = not isinstance(thinking, ThinkingDisabled)
    return {"enable_thinking": enabled, "thinking": enabled}
