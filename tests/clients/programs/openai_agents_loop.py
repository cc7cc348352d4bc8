"""openai-agents: a forced tool call and an answer, through silence and killed decoders."""

import asyncio
from collections.abc import Callable

import openai
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from disturbed import BASE, PROMPT, TOKEN, hold

set_tracing_disabled(disabled=True)
called = []


@function_tool
def weather(days: int, sunny: bool) -> str:
    """Tell the weather."""
    called.append((days, sunny))
    return "It rains."


def loop(came: Callable[[], None]) -> str:
    async def read() -> str:
        client = openai.AsyncOpenAI(base_url=BASE, api_key=TOKEN)
        agent = Agent(
            name="Forecaster",
            instructions="Be brief.",
            tools=[weather],
            model=OpenAIChatCompletionsModel(model="scripted", openai_client=client),
            model_settings=ModelSettings(
                tool_choice="required", max_tokens=900, extra_body={"seed": 3}
            ),
        )
        run = Runner.run_streamed(agent, PROMPT, max_turns=3)
        async for event in run.stream_events():
            if event.type == "raw_response_event" and "delta" in event.data.type:
                came()
        await client.close()
        return str(run.final_output)

    before = len(called)
    answer = asyncio.run(read())
    assert len(called) == before + 1, called
    return f"{called[-1]} {answer}"


hold("openai-agents", loop, silent=True)
