"""From the turns of a conversation to the messages that templates take.

    system                        a system message
    tool_use                      a call of an assistant's message
    thinking                      its reasoning
    tool_result                   a message of role `tool`; an error's text begins with "Error: "
    turns of one role in a row    one turn

Each call has exactly one result, at the beginning of the user's turn after it; anything else is a
400 that names the place.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import msgspec

from rowcast.errors import InvalidField
from rowcast.frontend.api.anthropic.body import (
    AssistantTurn,
    Block,
    DocumentBlock,
    ImageBlock,
    SystemBlock,
    SystemTurn,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Turn,
)
from rowcast.frontend.api.bodies.types import (
    AssistantMessage,
    FunctionCall,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from rowcast.frontend.turns import in_turns

Placed = tuple[str, Block]  # a block, and the name of its place in the body


def messages_of(system: str | Sequence[SystemBlock] | None, turns: Sequence[Turn]) -> list[Message]:
    """Return the messages of a conversation."""
    messages: list[Message] = []
    if system:
        messages.append(SystemMessage(_text(system)))
    calls: dict[str, str] = {}  # without a result: their ids and places
    for kind, same in groupby(in_turns(enumerate(turns)), key=lambda each: type(each[1])):
        blocks = [block for at, turn in same for block in _blocks(at, turn)]
        if kind is SystemTurn:
            messages.append(SystemMessage(_text([block for _, block in blocks])))
        elif kind is AssistantTurn:
            _check_answered(calls)
            messages.append(_assistant(blocks))
            calls = _calls(blocks)
        else:
            messages += _user(blocks, calls)
            _check_answered(calls)
    _check_answered(calls)
    return messages


def _blocks(at: int, turn: Turn) -> Iterator[Placed]:
    """Yield a turn's blocks; a string is one block of text."""
    if isinstance(turn.content, str):
        yield f"messages[{at}].content", TextBlock(turn.content)
        return
    for number, block in in_turns(enumerate(turn.content)):
        yield f"messages[{at}].content[{number}]", block


def _assistant(blocks: Iterable[Placed]) -> AssistantMessage:
    text, thoughts, calls = "", list[str](), list[ToolCall]()
    for _, block in in_turns(blocks):
        match block:
            case TextBlock():
                text += block.text
            case ThinkingBlock():
                thoughts.append(block.thinking)
            case ToolUseBlock():
                arguments = msgspec.json.encode(block.input).decode()
                calls.append(ToolCall(block.id, FunctionCall(block.name, arguments)))
    return AssistantMessage(
        None if calls and not text else text,
        tool_calls=calls or None,
        reasoning_content="\n".join(thoughts) or None,
    )


def _calls(blocks: Iterable[Placed]) -> dict[str, str]:
    """Return the ids of a turn's calls, with their places."""
    calls: dict[str, str] = {}
    for place, block in in_turns(blocks):
        if isinstance(block, ToolUseBlock):
            if block.id in calls:
                raise InvalidField(f"{place}.id", f"is {_shown(block.id)}, as is an earlier call's")
            calls[block.id] = place
    return calls


def _user(blocks: Sequence[Placed], calls: dict[str, str]) -> Iterator[Message]:
    """Yield the results of tools, then the text. Removes the calls that have results."""
    others: list[Block] = []
    for place, block in in_turns(blocks):
        if not isinstance(block, ToolResultBlock):
            _check_readable(place, block)
            others.append(block)
            continue
        if block.tool_use_id not in calls:
            raise InvalidField(
                f"{place}.tool_use_id",
                f"is {_shown(block.tool_use_id)}, but the assistant's message before it has no "
                "tool_use of this id without a result",
            )
        if others:
            raise InvalidField(place, "is a tool_result after other blocks; send results first")
        del calls[block.tool_use_id]
        yield ToolMessage(_result(place, block), block.tool_use_id)
    if others or not blocks:
        yield UserMessage(_text(others))


def _result(place: str, result: ToolResultBlock) -> str:
    content = result.content or ""
    if not isinstance(content, str):
        for number, block in enumerate(content):
            _check_readable(f"{place}.content[{number}]", block)
    text = _text(content)
    return f"Error: {text}" if result.is_error else text


def _text(content: str | Sequence[Block]) -> str:
    """Return the text of a string, or of text blocks."""
    if isinstance(content, str):
        return content
    return "\n".join(block.text for block in content if isinstance(block, TextBlock | SystemBlock))


def _check_readable(place: str, block: Block) -> None:
    """Refuse blocks that a text model cannot read."""
    if isinstance(block, ImageBlock):
        raise InvalidField(place, "is an image; send text: this model reads text only")
    if isinstance(block, DocumentBlock):
        raise InvalidField(place, "is a document; send its text in a text block")


def _check_answered(calls: dict[str, str]) -> None:
    """Refuse calls without a result."""
    for name, place in calls.items():
        raise InvalidField(
            place,
            f"is the tool_use {_shown(name)} without a result; begin the next message, of role "
            "user, with its tool_result",
        )


def _shown(name: str) -> str:
    return repr(name[:80])
