"""langchain-openai: a chat and a tool call, read through silence and killed decoders."""

from collections.abc import Callable

from disturbed import BASE, PROMPT, TOKEN, hold
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

SERVER = {"model": "scripted", "base_url": BASE, "api_key": TOKEN, "seed": 3}


@tool
def weather(city: str, days: int) -> str:
    """Tell the weather."""
    return f"{city} {days}"


def chat(came: Callable[[], None]) -> str:
    parts = []
    for part in ChatOpenAI(max_tokens=12, **SERVER).stream(PROMPT):
        if part.content:
            came()
            parts.append(part.content)
    return "".join(parts)


def call(came: Callable[[], None]) -> str:
    model = ChatOpenAI(max_tokens=900, **SERVER).bind_tools([weather], tool_choice="weather")
    parts = []
    for part in model.stream(PROMPT):
        for chunk in part.tool_call_chunks:
            came()
            parts.append((chunk["name"] or "") + (chunk["args"] or ""))
    return "".join(parts)


hold("langchain, chat", chat, silent=True)
hold("langchain, a tool call", call)
