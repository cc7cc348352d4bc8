"""A body of /v1/responses as the chat body that means the same.

Templates, tools, rules and parameters are then those of chat. Faults found there are reported under
the names of this body's fields, with `named_as_sent`.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from rowcast.frontend.api.bodies.types import (
    AllowedTools,
    ChatBody,
    Function,
    JsonSchemaFormat,
    Named,
    NamedTool,
    ReplyFields,
    ResponseFormat,
    SchemaFormat,
    Tool,
    ToolChoice,
)
from rowcast.frontend.api.chat_prompt import fields_renamed
from rowcast.frontend.api.openai.responses.request.body import (
    AllowedFunctions,
    FunctionChoice,
    FunctionTool,
    NamedSchemaFormat,
    ResponseBody,
)
from rowcast.frontend.api.openai.responses.request.conversation import messages_of
from rowcast.frontend.api.openai.responses.request.items import InputItem

_SAME = (*ReplyFields.__struct_fields__, "model", "parallel_tool_calls")
_NAMES = {  # of fields: in a chat, and here
    "messages": "input",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "logprobs": "include",
    "response_format.json_schema.schema": "text.format.schema",
    "response_format": "text.format",
    "tool_choice.function.name": "tool_choice.name",
}

named_as_sent = partial(fields_renamed, _NAMES)


def chat_body(body: ResponseBody, items: Sequence[InputItem]) -> ChatBody:
    """Return the chat body. `items`: the whole conversation."""
    return ChatBody(
        messages=messages_of(body.instructions, items),
        n=1,
        max_completion_tokens=body.max_output_tokens,
        logprobs=body.with_logprobs or None,
        top_logprobs=body.top_logprobs if body.with_logprobs else None,
        tools=[_tool(each) for each in body.tools or ()] or None,
        tool_choice=_choice(body.tool_choice),
        response_format=_format(body),
        chat_template_kwargs=_template_variables(body),
        **{name: getattr(body, name) for name in _SAME},
    )


def _tool(tool: FunctionTool) -> Tool:
    return Tool(Function(tool.name, tool.description, tool.parameters, tool.strict))


def _choice(
    choice: Literal["none", "auto", "required"] | FunctionChoice | AllowedFunctions | None,
) -> Literal["none", "auto", "required"] | ToolChoice | None:
    if isinstance(choice, FunctionChoice):
        return ToolChoice(Named(choice.name))
    if isinstance(choice, AllowedFunctions):
        tools = [NamedTool(Named(each.name)) for each in choice.tools]
        allowed = AllowedTools(choice.mode, tools)
        return ToolChoice(allowed_tools=allowed, type="allowed_tools")
    return choice


def _format(body: ResponseBody) -> ResponseFormat | None:
    wanted = body.text.format if body.text else None
    if isinstance(wanted, NamedSchemaFormat):
        schema = JsonSchemaFormat(wanted.name, wanted.schema, wanted.strict, wanted.description)
        return SchemaFormat(schema)
    return wanted


def _template_variables(body: ResponseBody) -> dict[str, Any] | None:
    """Return what the template gets: the effort, by the names that templates have for it."""
    effort = body.reasoning.effort if body.reasoning else None
    variables: dict[str, Any] = {"reasoning_effort": effort} if effort else {}
    if effort == "none":
        variables["enable_thinking"] = False
    return variables | (body.chat_template_kwargs or {}) or None
