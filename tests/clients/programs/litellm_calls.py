"""litellm: chat and text, whole, streamed and asynchronous, tools, errors."""

import asyncio
import json
import os

import litellm

HELLO = [{"role": "user", "content": "Hello"}]
ASKED = {
    "model": "openai/scripted",
    "api_base": os.environ["ROWCAST_URL"] + "/v1",
    "api_key": os.environ["ROWCAST_TOKEN"],
    "max_tokens": 12,
    "seed": 3,
}

answer = litellm.completion(messages=HELLO, **ASKED)
print(answer)
text = answer.choices[0].message.content
stream = litellm.completion(messages=HELLO, stream=True, **ASKED)
assert "".join(part.choices[0].delta.content or "" for part in stream) == text
again = asyncio.run(litellm.acompletion(messages=HELLO, **ASKED))
assert again.choices[0].message.content == text
old = litellm.text_completion(
    **ASKED | {"model": "text-completion-openai/scripted"}, prompt="Hello"
)
assert old.choices[0].text
function = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
called = litellm.completion(
    messages=HELLO,
    tools=[{"type": "function", "function": function}],
    tool_choice={"type": "function", "function": {"name": "weather"}},
    **ASKED | {"max_tokens": 900},
)
(call,) = called.choices[0].message.tool_calls
assert json.loads(call.function.arguments)["city"] in {"Paris", "Rome"}
try:
    litellm.completion(messages=HELLO, **ASKED | {"model": "openai/nothing"})
except litellm.NotFoundError as refused:
    print(refused)
else:
    raise AssertionError("an unknown model was answered")
