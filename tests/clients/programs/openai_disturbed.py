"""openai: text, chat and a forced tool call, read through silence and killed decoders."""

import asyncio
from collections.abc import Callable

import openai
from disturbed import BASE, HELLO, PROMPT, TOKEN, hold

FUNCTION = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
SERVER = {"base_url": BASE, "api_key": TOKEN}
client = openai.OpenAI(**SERVER)


def text(came: Callable[[], None]) -> str:
    parts = []
    for chunk in client.completions.create(
        model="scripted", prompt=PROMPT, seed=3, max_tokens=12, stream=True
    ):
        came()
        parts.append(chunk.choices[0].text)
    return "".join(parts)


def chat(came: Callable[[], None]) -> str:
    async def read() -> str:
        parts = []
        async with openai.AsyncOpenAI(**SERVER) as client:
            stream = await client.chat.completions.create(
                model="scripted", messages=HELLO, seed=3, max_tokens=12, stream=True
            )
            async for chunk in stream:
                content = chunk.choices[0].delta.content
                if content:
                    came()
                    parts.append(content)
        return "".join(parts)

    return asyncio.run(read())


def tool(came: Callable[[], None]) -> str:
    parts = []
    for chunk in client.chat.completions.create(
        model="scripted",
        messages=HELLO,
        seed=3,
        max_tokens=900,
        tools=[{"type": "function", "function": FUNCTION}],
        tool_choice="required",
        stream=True,
    ):
        for call in chunk.choices[0].delta.tool_calls or []:
            came()
            parts.append((call.function.name or "") + (call.function.arguments or ""))
    return "".join(parts)


hold("completions", text)
hold("chat, asynchronous", chat, silent=True)
hold("a tool call", tool)
