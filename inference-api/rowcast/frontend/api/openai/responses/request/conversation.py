"""From the items of an input to the messages of a chat.

    reasoning, an assistant's message, calls     one assistant message, as templates know it
    a call's result                              a message of role `tool`

Instructions come first; they are joined with a system message that follows them, because many
templates allow only one.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rowcast.frontend.api.bodies.types import (
    AssistantMessage,
    DeveloperMessage,
    FunctionCall,
    Message,
    RefusalPart,
    SystemMessage,
    TextPart,
    TextParts,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from rowcast.frontend.api.openai.responses.request.items import (
    ContentPart,
    FunctionCallItem,
    FunctionOutputItem,
    InputItem,
    MessageItem,
    ReasoningItem,
    RefusedPart,
)

_SYSTEM = frozenset({"system", "developer"})


def messages_of(instructions: str | None, items: Sequence[InputItem]) -> list[Message]:
    """Return the messages of a conversation."""
    messages: list[Message] = []
    for of_model, group in groupby(items, _of_model):
        some = list(group)
        messages += _turns(some) if of_model else [_message(item) for item in some]
    return _with_instructions(instructions, messages) if instructions else messages


def _of_model(item: InputItem) -> bool:
    """True if the model has generated the item."""
    if isinstance(item, MessageItem):
        return item.role == "assistant"
    return isinstance(item, FunctionCallItem | ReasoningItem)


def _with_instructions(instructions: str, messages: list[Message]) -> list[Message]:
    first = messages[0] if messages else None
    if not isinstance(first, SystemMessage | DeveloperMessage):
        return [SystemMessage(instructions), *messages]
    parts = first.content if isinstance(first.content, list) else [TextPart(first.content)]
    text = "\n".join(part.text for part in parts if isinstance(part, TextPart))
    return [SystemMessage(f"{instructions}\n\n{text}"), *messages[1:]]


def _message(item: InputItem) -> Message:
    """Return the message of an item that is not the model's own."""
    if isinstance(item, FunctionOutputItem):
        return ToolMessage(_text(item.output), item.call_id)
    if not isinstance(item, MessageItem):
        raise TypeError(item)
    if item.role == "user":
        content = _text(item.content)
        return UserMessage(content if isinstance(content, str) else list(_texts(content)))
    kind = SystemMessage if item.role == "system" else DeveloperMessage
    return kind(_text(item.content))


def _turns(items: Iterable[InputItem]) -> Iterator[AssistantMessage]:
    """Yield what the model has generated; reasoning and text begin a message, calls join it."""
    turn: AssistantMessage | None = None
    for item in items:
        if turn is None or _begins(item, turn):
            if turn is not None:
                yield turn
            turn = AssistantMessage("")
        _add(item, turn)
    if turn is not None:
        yield turn


def _begins(item: InputItem, turn: AssistantMessage) -> bool:
    """True if the item begins the next message."""
    begun = bool(turn.content or turn.tool_calls)
    if isinstance(item, ReasoningItem):
        return begun or turn.reasoning_content is not None
    return isinstance(item, MessageItem) and begun


def _add(item: InputItem, turn: AssistantMessage) -> None:
    if isinstance(item, MessageItem):
        turn.content = _text(item.content)
    elif isinstance(item, FunctionCallItem):
        call = ToolCall(item.call_id, FunctionCall(item.name, item.arguments))
        turn.tool_calls = turn.tool_calls or []
        turn.tool_calls.append(call)
    elif isinstance(item, ReasoningItem):
        parts = item.content or item.summary
        turn.reasoning_content = "\n".join(part.text for part in parts)


def _text(content: str | Sequence[ContentPart]) -> TextParts:
    """Return content as the parts of a chat message; text of one part as a string."""
    if isinstance(content, str):
        return content
    parts = [
        RefusalPart(part.refusal) if isinstance(part, RefusedPart) else TextPart(part.text)
        for part in content
    ]
    only = parts[0] if len(parts) == 1 else None
    if only is None:
        return parts or ""
    return only.text if isinstance(only, TextPart) else [only]


def _texts(parts: Iterable[TextPart | RefusalPart]) -> Iterator[TextPart]:
    """Yield the parts as text, the only kind that a person's message has."""
    for part in parts:
        yield part if isinstance(part, TextPart) else TextPart(part.refusal)
