"""pydantic-ai: text, a tool and an object, streamed through silence and killed decoders."""

import asyncio
import json
from collections.abc import Callable

from disturbed import BASE, PROMPT, TOKEN, hold
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

MODEL = OpenAIChatModel("scripted", provider=OpenAIProvider(base_url=BASE, api_key=TOKEN))


class Person(BaseModel):
    """A person."""

    age: int
    married: bool


def text(came: Callable[[], None]) -> str:
    async def read() -> str:
        agent = Agent(MODEL, model_settings={"seed": 3, "max_tokens": 12})
        parts = []
        async with agent.run_stream(PROMPT) as run:
            async for part in run.stream_text(delta=True, debounce_by=None):
                came()
                parts.append(part)
        return "".join(parts)

    return asyncio.run(read())


def thing(came: Callable[[], None]) -> str:
    async def read() -> str:
        agent = Agent(MODEL, output_type=Person, model_settings={"seed": 3, "max_tokens": 900})
        last = None
        async with agent.run_stream(PROMPT) as run:
            async for part in run.stream_output(debounce_by=None):
                came()
                last = part
        return json.dumps(last.model_dump())

    return asyncio.run(read())


hold("pydantic-ai, text", text, silent=True)
hold("pydantic-ai, an object", thing)
