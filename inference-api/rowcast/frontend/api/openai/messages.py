"""Messages to a prompt: content parts flattened, the model's template rendered, the text tokenized.

Templates bring their own beginning of text, so none is added. Images are refused here: the models
that are served read text.
"""

from typing import Any

import msgspec

from rowcast.errors import InvalidField
from rowcast.frontend.api.openai.asked import PromptText
from rowcast.frontend.api.openai.bodies import Message, RefusalPart, TextPart, Tool
from rowcast.frontend.frontend import Frontend


def prompt_of(
    frontend: Frontend,
    messages: list[Message],
    *,
    tools: list[Tool] | None = None,
    continues: bool = False,
    extra: dict[str, Any] | None = None,
) -> PromptText:
    """The prompt that these messages make."""
    text = frontend.chat.render(
        [_plain(at, message) for at, message in enumerate(messages)],
        tools=[_compact(tool) for tool in tools] if tools else None,
        continues=continues,
        extra=extra,
    )
    return PromptText(frontend.encode(text, special=False), text)


def _plain(at: int, message: Message) -> dict[str, Any]:
    """A message as templates take it: `content` is a string."""
    plain = _compact(message)
    if isinstance(message.content, list):
        plain["content"] = "\n".join(
            _text(part, f"messages[{at}].content[{number}]")
            for number, part in enumerate(message.content)
        )
    return plain


def _text(part: object, field: str) -> str:
    if isinstance(part, TextPart | RefusalPart):
        return part.text if isinstance(part, TextPart) else part.refusal
    raise InvalidField(field, "is an image; this model reads text only")


def _compact(value: msgspec.Struct) -> dict[str, Any]:
    """Without what was not sent, which templates would take for sent."""
    found: dict[str, Any] = _without_null(msgspec.to_builtins(value))
    return found


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_null(each) for name, each in value.items() if each is not None}
    return [_without_null(each) for each in value] if isinstance(value, list) else value
