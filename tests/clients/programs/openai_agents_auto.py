"""openai-agents: a loop with tool_choice auto, of a model that calls at each turn.

The model writes broken calls; each that arrives is a valid one all the same.
"""

import asyncio
import os
from typing import Literal

import openai
from agents import (
    Agent,
    MaxTurnsExceeded,
    ModelSettings,
    OpenAIChatCompletionsModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)

TURNS = 3
set_tracing_disabled(disabled=True)
called: list[tuple[str, bool]] = []


@function_tool
def weather(city: Literal["Paris", "Rome"], sunny: bool) -> str:
    """Tell the weather."""
    called.append((city, sunny))
    return "It rains."


async def loop() -> list[tuple[str, bool]]:
    called.clear()
    client = openai.AsyncOpenAI(
        base_url=os.environ["ROWCAST_URL"] + "/v1", api_key=os.environ["ROWCAST_TOKEN"]
    )
    agent = Agent(
        name="Forecaster",
        tools=[weather],
        model=OpenAIChatCompletionsModel(model="caller", openai_client=client),
        model_settings=ModelSettings(
            tool_choice="auto", parallel_tool_calls=False, max_tokens=200, extra_body={"seed": 3}
        ),
    )
    run = Runner.run_streamed(agent, "Hello", max_turns=TURNS)
    try:
        async for _ in run.stream_events():
            pass
    except MaxTurnsExceeded:
        pass
    await client.close()
    return list(called)


first = asyncio.run(loop())
assert len(first) == TURNS, first
assert asyncio.run(loop()) == first
print(f"{TURNS} turns: {first}")
