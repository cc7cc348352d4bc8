"""The HTTP dialects that can be measured, by name.

A dialect defines where to post, what body to send, and how to read pieces and their end. A new one
is one module with a `Dialect` and one line here.
"""

from __future__ import annotations

from commands.bench.dialects.chat import Chat
from commands.bench.dialects.dialect import Dialect
from commands.bench.dialects.generate import TGI, Generate
from commands.bench.dialects.messages import Messages
from commands.bench.dialects.native import Native
from commands.bench.dialects.openai import OpenAI
from commands.bench.dialects.openai_chat import OpenAIChat
from commands.bench.dialects.responses import Responses

DIALECTS: dict[str, Dialect] = {
    "native": Native(),
    "chat": Chat(),
    "openai": OpenAI(),
    "openai-chat": OpenAIChat(),
    "messages": Messages(),
    "responses": Responses(),
    "generate": Generate(),
    "tgi": TGI(),
}
