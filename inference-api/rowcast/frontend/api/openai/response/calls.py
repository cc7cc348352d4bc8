"""The parts of a reply in OpenAI's format: deltas of a stream, or the whole message."""

import hashlib
from collections.abc import Collection, Iterable, Iterator

from msgspec import UNSET
from msgspec.structs import replace

from rowcast.frontend.api.events import coalesced
from rowcast.frontend.api.openai.response.types import (
    ChatMessage,
    CustomCalled,
    CustomDelta,
    Delta,
    FunctionCalled,
    FunctionDelta,
    ToolCalled,
    ToolDelta,
)
from rowcast.text.chat.custom_input import InputText
from rowcast.text.chat.parts import CallStart, Part, ReasoningPart, TextPart
from rowcast.text.chat.reply_reader import ReplyReader


def call_id(request: str, reply: int, index: int) -> str:
    """Return the id of a call, the same in each of its events."""
    digest = hashlib.blake2b(f"{request}/{reply}/{index}".encode(), digest_size=12)
    return f"call_{digest.hexdigest()}"


class MessageReader:
    """Turns one reply into a message. `custom`: the names of tools whose input is text."""

    def __init__(
        self, reader: ReplyReader, custom: Collection[str], request: str, reply: int
    ) -> None:
        self._reader = reader
        self._custom = custom
        self._request = request
        self._reply = reply
        self._inputs: dict[int, InputText] = {}  # by call, of custom tools

    @property
    def reasoning_tokens(self) -> int:
        """The number of tokens of reasoning so far."""
        return self._reader.reasoning_tokens

    @property
    def called(self) -> bool:
        """True if there are calls, and each is complete."""
        return self._reader.called

    def feed(self, text: str, tokens: int) -> list[Delta]:
        """Return the deltas of this text; with it, the reply has `tokens` tokens."""
        return self._deltas(self._reader.feed(text, tokens))

    def finish(self) -> list[Delta]:
        """Return the text held back until the end of the reply."""
        found = self._deltas(self._reader.finish())
        for index, text in self._inputs.items():
            rest = text.finish()
            if rest:
                found.append(_call(index, CustomDelta(input=rest)))
        return found

    def _deltas(self, parts: Iterable[Part]) -> list[Delta]:
        deltas: list[Delta] = []  # no generator: most parts are one token
        for part in parts:
            if isinstance(part, TextPart):
                deltas.append(Delta(content=part.text))
            elif isinstance(part, ReasoningPart):
                deltas.append(Delta(reasoning_content=part.text, reasoning=part.text))
            elif isinstance(part, CallStart):
                deltas.append(self._begun(part))
            elif part.index not in self._inputs:
                deltas.append(_call(part.index, FunctionDelta(arguments=part.text)))
            elif text := self._inputs[part.index].feed(part.text):
                deltas.append(_call(part.index, CustomDelta(input=text)))
        return deltas

    def _begun(self, part: CallStart) -> Delta:
        name = call_id(self._request, self._reply, part.index)
        if part.name in self._custom:
            self._inputs[part.index] = InputText()
            custom = CustomDelta(name=part.name, input="")
            call = ToolDelta(part.index, id=name, type="custom", custom=custom)
        else:
            function = FunctionDelta(name=part.name, arguments="")
            call = ToolDelta(part.index, function, name, "function")
        return Delta(tool_calls=[call])


def _call(index: int, more: FunctionDelta | CustomDelta) -> Delta:
    if isinstance(more, CustomDelta):
        return Delta(tool_calls=[ToolDelta(index, custom=more)])
    return Delta(tool_calls=[ToolDelta(index, more)])


def merged(deltas: Iterable[Delta]) -> Iterator[Delta]:
    """Return the same message in fewer deltas: join neighbours of the same part."""
    return coalesced(deltas, _continued)


def _continued(first: Delta, second: Delta) -> Delta | None:
    """Return both as one delta if the second continues the first; otherwise None."""
    if first.content and second.content:
        return Delta(content=first.content + second.content)
    if first.reasoning and second.reasoning:
        both = first.reasoning + second.reasoning
        return Delta(reasoning_content=both, reasoning=both)
    if first.tool_calls and second.tool_calls:
        (call,), (rest,) = first.tool_calls, second.tool_calls
        if call.index == rest.index and call.id is rest.id is UNSET:  # neither begins a call
            return Delta(tool_calls=[_lengthened(call, rest)])
    return None


def _lengthened(call: ToolDelta, rest: ToolDelta) -> ToolDelta:
    if call.function is not UNSET and rest.function is not UNSET:
        arguments = (call.function.arguments or "") + (rest.function.arguments or "")
        return replace(call, function=replace(call.function, arguments=arguments))
    if call.custom is not UNSET and rest.custom is not UNSET:
        text = (call.custom.input or "") + (rest.custom.input or "")
        return replace(call, custom=replace(call.custom, input=text))
    return call


def joined(deltas: Iterable[Delta]) -> ChatMessage:
    """Return the message that these deltas make; its content is null if there are only calls."""
    text, reasoning, calls = "", "", list[ToolCalled]()
    for delta in deltas:
        text += delta.content or ""
        reasoning += delta.reasoning or ""
        for call in delta.tool_calls or ():
            if call.id is not UNSET:
                calls.append(_called(call, call.id))
            else:
                _extend(calls[call.index], call)
    message = ChatMessage(text or None if calls else text)
    message.tool_calls = calls or UNSET
    message.reasoning_content = message.reasoning = reasoning or UNSET
    return message


def _called(call: ToolDelta, name: str) -> ToolCalled:
    if call.custom is not UNSET:
        return ToolCalled(name, custom=CustomCalled(call.custom.name or "", ""), type="custom")
    function = call.function
    return ToolCalled(name, FunctionCalled((function and function.name) or "", ""))


def _extend(called: ToolCalled, call: ToolDelta) -> None:
    if called.function is not UNSET and call.function is not UNSET:
        called.function.arguments += call.function.arguments or ""
    if called.custom is not UNSET and call.custom is not UNSET:
        called.custom.input += call.custom.input or ""
