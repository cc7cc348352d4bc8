"""Tools in a chat: what the template shows of them, which calls are a must, and calls as deltas."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from rowcast.errors import InvalidField
from rowcast.frontend.api.openai.answers import (
    Delta,
    FunctionCalled,
    FunctionDelta,
    ToolCalled,
    ToolDelta,
)
from rowcast.frontend.api.openai.bodies import ChatBody, NamedTool, Tool
from rowcast.frontend.api.openai.grammars import compiled
from rowcast.frontend.frontend import Frontend
from rowcast.offload import tasks
from rowcast.text.tool_calls import Called, Form, Found, Said, ToolReader, form_of


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools of one request."""

    tools: list[Tool]
    form: Form
    required: tuple[Tool, ...]  # one of them must be called; empty: as the model likes
    several: bool

    def reader(self) -> ToolReader:
        """For one reply's text."""
        names = {tool.function.name for tool in self.tools}
        return ToolReader(self.form, names, several=self.several)

    def grammar(self, frontend: Frontend) -> str:
        """Of a reply that must call; "" where it may."""
        if not self.required:
            return ""
        functions = [msgspec.to_builtins(tool.function) for tool in self.required]
        return compiled(
            frontend, "tools", tasks.tool_grammar, self.form.name, functions, self.several
        )


def toolbox(frontend: Frontend, body: ChatBody) -> Toolbox | None:
    """The tools that the model is shown, if any."""
    choice = body.tool_choice
    if not body.tools:
        if isinstance(choice, NamedTool) or choice == "required":
            raise InvalidField("tool_choice", "is only allowed when tools are sent")
        return None
    if choice == "none":
        return None
    if not frontend.chat.knows_tools:
        raise InvalidField("tools", f"are not known to the chat template ({frontend.chat.name})")
    return Toolbox(
        tools=body.tools,
        form=form_of(frontend.chat.source),
        required=_required(body.tools, choice),
        several=body.parallel_tool_calls is not False and not isinstance(choice, NamedTool),
    )


def _required(tools: list[Tool], choice: str | NamedTool | None) -> tuple[Tool, ...]:
    if not isinstance(choice, NamedTool):
        return tuple(tools) if choice == "required" else ()
    named = tuple(tool for tool in tools if tool.function.name == choice.function.name)
    if not named:
        raise InvalidField("tool_choice.function.name", "names none of the tools")
    return named


def call_id(request: str, reply: int, index: int) -> str:
    """The name of a call, equal in every event that tells of it."""
    digest = hashlib.blake2b(f"{request}/{reply}/{index}".encode(), digest_size=12)
    return f"call_{digest.hexdigest()}"


def deltas(found: Iterable[Found], request: str, reply: int) -> Iterator[Delta]:
    """What a stream says of these."""
    for each in found:
        if isinstance(each, Said):
            yield Delta(content=each.text)
        elif isinstance(each, Called):
            function = FunctionDelta(name=each.name, arguments="")
            name = call_id(request, reply, each.index)
            yield Delta(tool_calls=[ToolDelta(each.index, function, name, "function")])
        else:
            yield Delta(tool_calls=[ToolDelta(each.index, FunctionDelta(arguments=each.text))])


def collected(
    found: Iterable[Found], request: str, reply: int
) -> tuple[str | None, list[ToolCalled]]:
    """The same at once: the text, if there is any, and the calls."""
    text, calls = "", list[ToolCalled]()
    for each in found:
        if isinstance(each, Said):
            text += each.text
        elif isinstance(each, Called):
            name = call_id(request, reply, each.index)
            calls.append(ToolCalled(name, FunctionCalled(each.name, "")))
        else:
            calls[each.index].function.arguments += each.text
    return (text or None if calls else text), calls
