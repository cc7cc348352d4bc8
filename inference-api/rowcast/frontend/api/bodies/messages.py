"""From messages to a prompt: renders the model's template and tokenizes the text.

Templates are programs that come with a model, so they run outside this process; only our own plain
template is rendered here, while messages are short. Templates write their own beginning-of-text
token, so none is added.
"""

from typing import Any

import msgspec

from rowcast.errors import InvalidField, TooCostly
from rowcast.frontend.api.bodies.types import Message, Tool
from rowcast.frontend.request.request import Request
from rowcast.frontend.served_model import LONG_TEXT, ServedModel
from rowcast.offload import tasks
from rowcast.text.chat.messages import flattened, without_null
from rowcast.text.chat.template import End


def prompt_of(
    served: ServedModel,
    request: Request,
    messages: list[Message],
    *,
    tools: list[Tool] | None = None,
    end: End = "turn",
    extra: dict[str, Any] | None = None,
    for_prompt: bool = True,
) -> tuple[tuple[int, ...], str]:
    """Return the tokens and text of a prompt. `for_prompt`: it must fit the model's context."""
    sent = msgspec.to_builtins(messages)
    shown = [without_null(msgspec.to_builtins(tool)) for tool in tools] if tools else None
    if shown is None and served.chat.is_plain and _length(sent) < LONG_TEXT:
        text = served.chat.render(flattened(sent), end=end)
        return served.encode(request, text, special=False), text
    most = served.context_length if for_prompt else None
    try:
        tokens, text = served.elsewhere(request, tasks.chat_prompt, sent, shown, end, extra, most)
    except TooCostly as costly:
        raise InvalidField("messages", f"with this model's template: {costly}") from costly
    return tuple(tokens), text


def _length(messages: list[dict[str, Any]]) -> int:
    """Return the approximate length of the rendered messages."""
    return sum(len(each["role"]) + len(str(each["content"])) for each in messages[:LONG_TEXT])
