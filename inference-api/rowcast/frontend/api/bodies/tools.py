"""Tools in a chat: what the template shows of them, and the rule that calls follow.

A template sees a custom tool as a function of one argument, `input`. A template that does not know
tools gets them as text, written by `text/chat/plain_tools.py`. How calls are returned:
`response/calls.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rowcast.errors import InvalidField
from rowcast.frontend.api.bodies.rules import compiled
from rowcast.frontend.api.bodies.types import (
    ChatBody,
    Custom,
    Function,
    GrammarInput,
    NamedTool,
    Tool,
    ToolChoice,
)
from rowcast.frontend.request.request import Request
from rowcast.frontend.served_model import ServedModel
from rowcast.offload import tasks
from rowcast.text.chat.forms.form import Form
from rowcast.text.chat.reasoning import hidden, spelt
from rowcast.text.chat.template import ChatTemplate
from rowcast.text.chat.tool_calls import ToolReader
from rowcast.text.rules.schema_rule import Rule
from rowcast.text.rules.schema_tree import Schema
from rowcast.text.rules.tool_rule import Callee
from rowcast.text.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools of one request."""

    tools: list[Tool]
    form: Form
    required: tuple[Tool, ...]  # one of them must be called; empty: calls are optional
    several: bool

    @property
    def shown(self) -> list[Tool]:
        """The tools as functions, the only kind that templates know."""
        return [Tool(_function(tool)) for tool in self.tools]

    @property
    def custom(self) -> frozenset[str]:
        """The names of the custom tools, whose input is text."""
        return frozenset(tool.name for tool in self.tools if tool.custom)

    def hidden(self, tokenizer: Tokenizer) -> tuple[tuple[int, str], ...]:
        """Return the tokens of the form's marks that decoding leaves out of a text."""
        return hidden(tokenizer, spelt(tokenizer, self.form.marks))

    def reader(self) -> ToolReader:
        """Return the reader of one reply's text."""
        return ToolReader(self.form, {tool.name for tool in self.tools}, several=self.several)

    def rule(self, served: ServedModel, request: Request) -> Rule:
        """Return the rule of a reply that must call a tool, or may."""
        task = tasks.tool_rule if self.required else tasks.optional_tool_rule
        tools = self.required or self.tools
        callees = [_callee(tool) for tool in tools]
        arguments = (self.form.name, callees, self.several)
        rule = compiled(served, request, "tools", task, *arguments)
        lost = [f"format of {tool.name}" for tool in tools if _has_lark(tool)]
        return Rule(rule.grammar, (*rule.unenforced, *lost))


def toolbox(template: ChatTemplate, body: ChatBody) -> Toolbox | None:
    """Return the tools to show to the model, if any."""
    choice = body.tool_choice
    if not body.tools:
        if isinstance(choice, ToolChoice) or choice == "required":
            raise InvalidField("tool_choice", "is only allowed when tools are sent")
        return None
    if choice == "none":
        return None
    allowed = choice.allowed_tools if isinstance(choice, ToolChoice) else None
    tools = _named(body.tools, allowed.tools) if allowed else body.tools
    one = isinstance(choice, ToolChoice) and not allowed
    return Toolbox(
        tools=tools,
        form=template.form,
        required=_required(tools, choice),
        several=body.parallel_tool_calls is not False and not one,
    )


def rule_of(served: ServedModel, request: Request, requested: Rule, tools: Toolbox | None) -> Rule:
    """Return the rule that the reply must follow: the body's, or that of the tools.

    `requested`: the body's. A reply that follows one has no optional calls.
    """
    if tools is None or (requested.grammar and not tools.required):
        return requested
    if requested.grammar:
        raise InvalidField("tool_choice", "cannot be combined with a rule for the reply's text")
    return tools.rule(served, request)


def _required(tools: list[Tool], choice: str | ToolChoice | None) -> tuple[Tool, ...]:
    """Return the tools of which one must be called."""
    if not isinstance(choice, ToolChoice):
        return tuple(tools) if choice == "required" else ()
    if choice.allowed_tools:
        return tuple(tools) if choice.allowed_tools.mode == "required" else ()
    wanted = choice.function or choice.custom
    kind = "function" if choice.function else "custom"
    named = [tool for tool in tools if wanted and (tool.type, tool.name) == (kind, wanted.name)]
    if not named:
        raise InvalidField(f"tool_choice.{kind}.name", "does not name one of the tools")
    return tuple(named)


def _named(tools: Sequence[Tool], names: Sequence[NamedTool]) -> list[Tool]:
    """Return the allowed tools, in their original order."""
    known = {(tool.type, tool.name) for tool in tools}
    for at, each in enumerate(names):
        if (each.type, each.name) not in known:
            field = f"tool_choice.allowed_tools.tools[{at}].{each.type}.name"
            raise InvalidField(field, "does not name one of the tools")
    allowed = {(each.type, each.name) for each in names}
    return [tool for tool in tools if (tool.type, tool.name) in allowed]


def _callee(tool: Tool) -> Callee:
    function = _function(tool)
    return Callee(function.name, function.parameters, bool(function.strict))


def _function(tool: Tool) -> Function:
    """Return a tool as a function; the only argument of a custom one is its input."""
    if tool.custom is None:
        return tool.function or Function(tool.name)
    return Function(tool.custom.name, _description(tool.custom), _input_schema(tool.custom))


def _input_schema(tool: Custom) -> Schema:
    text: Schema = {"type": "string"}
    if isinstance(tool.format, GrammarInput) and tool.format.grammar.syntax == "regex":
        text["pattern"] = f"^(?:{tool.format.grammar.definition})$"
    return {
        "type": "object",
        "properties": {"input": text},
        "required": ["input"],
        "additionalProperties": False,
    }


def _description(tool: Custom) -> str | None:
    """Return the description, plus the grammar of the input if templates would not show it."""
    if not _has_lark(tool) or not isinstance(tool.format, GrammarInput):
        return tool.description
    grammar = f"Its input follows this Lark grammar:\n{tool.format.grammar.definition}"
    return f"{tool.description}\n{grammar}" if tool.description else grammar


def _has_lark(tool: Tool | Custom) -> bool:
    """True if the tool's input has a grammar that cannot be enforced inside JSON."""
    custom = tool.custom if isinstance(tool, Tool) else tool
    form = custom.format if custom else None
    return isinstance(form, GrammarInput) and form.grammar.syntax == "lark"
