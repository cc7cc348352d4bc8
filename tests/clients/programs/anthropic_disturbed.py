"""anthropic: text, a tool's loop, an agent's large request; through silence, killed decoders."""

import asyncio
import json
from collections.abc import Callable

import anthropic
from disturbed import HELLO, PROMPT, TOKEN, URL, hold

TOOL = {
    "name": "weather",
    "description": "The weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
ASKED = {"model": "scripted", "max_tokens": 12, "extra_body": {"seed": 3}}
CACHED = {"cache_control": {"type": "ephemeral"}}
client = anthropic.Anthropic(base_url=URL, api_key=TOKEN)


def text(came: Callable[[], None]) -> str:
    with client.messages.stream(messages=HELLO, **ASKED) as stream:
        for _ in stream.text_stream:
            came()
        message = stream.get_final_message()
    assert message.usage.output_tokens == 12
    counted = client.messages.count_tokens(model="scripted", messages=HELLO)
    assert message.usage.input_tokens == counted.input_tokens
    return message.content[0].text


def asynchronous(came: Callable[[], None]) -> str:
    async def read() -> str:
        parts = []
        async with anthropic.AsyncAnthropic(base_url=URL, auth_token=TOKEN) as client:
            async for event in await client.messages.create(messages=HELLO, stream=True, **ASKED):
                if event.type == "content_block_delta":
                    came()
                    parts.append(event.delta.text)
        return "".join(parts)

    return asyncio.run(read())


def loop(came: Callable[[], None]) -> str:
    """Call a tool, send its result, and read the answer."""
    messages = list(HELLO)
    with client.messages.stream(
        messages=messages,
        tools=[TOOL],
        tool_choice={"type": "tool", "name": "weather"},
        **ASKED | {"max_tokens": 900},
    ) as stream:
        for event in stream:
            if event.type == "input_json":
                came()
        called = stream.get_final_message()
    assert called.stop_reason == "tool_use"
    (call,) = called.content
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "It rains."}
    messages += [called.to_param(), {"role": "user", "content": [result]}]
    answer = client.messages.create(messages=messages, tools=[TOOL], **ASKED)
    return json.dumps([call.input, answer.content[0].text])


def runner(came: Callable[[], None]) -> str:
    """Let the client itself call a tool until a turn is over, twice."""
    called = []

    @anthropic.beta_tool
    def forecast(days: int, sunny: bool) -> str:
        """Tell the weather.

        Args:
            days: How many days.
            sunny: Whether it should be sunny.
        """
        called.append((days, sunny))
        return "It rains."

    for stream in client.beta.messages.tool_runner(
        messages=HELLO,
        tools=[forecast],
        tool_choice={"type": "tool", "name": "forecast"},
        max_iterations=2,
        stream=True,
        **ASKED | {"max_tokens": 900},
    ):
        for event in stream:
            if event.type == "input_json":
                came()
    assert len(called) == 2
    return str(called)


def large(came: Callable[[], None]) -> str:
    """Send what agents for code send: many tools, cached system blocks, betas."""
    parts = []
    for event in client.beta.messages.create(
        messages=[{"role": "user", "content": [{"type": "text", "text": PROMPT, **CACHED}]}],
        system=[{"type": "text", "text": "You write code.", **CACHED}] * 3,
        tools=[{**TOOL, "name": f"mcp__server__tool_{at}"} for at in range(24)],
        thinking={"type": "adaptive"},
        metadata={"user_id": "user_1_session_2"},
        betas=["fine-grained-tool-streaming-2025-05-14", "interleaved-thinking-2025-05-14"],
        stream=True,
        **ASKED,
    ):
        if event.type == "content_block_delta":
            came()
            parts.append(event.delta.text)
    return "".join(parts)


def refused() -> None:
    """Check that errors are the client's own."""
    for kind, key, changed in (
        (anthropic.NotFoundError, TOKEN, {"model": "nothing"}),
        (anthropic.BadRequestError, TOKEN, {"messages": []}),
        (anthropic.AuthenticationError, "not-a-token", {}),
    ):
        try:
            anthropic.Anthropic(base_url=URL, api_key=key).messages.create(
                **{"messages": HELLO} | ASKED | changed
            )
        except kind as error:
            print(error.request_id, error.message)
        else:
            raise AssertionError(f"no {kind.__name__}")


refused()
hold("messages", text, silent=True)
hold("messages, asynchronous", asynchronous)
hold("a tool call and its result", loop)
hold("a runner of tools", runner)
hold("an agent's request", large)
