"""openai 0.28: the calls of vLLM's quickstart, and their stream."""

import os

import openai

openai.api_key = os.environ["ROWCAST_TOKEN"]
openai.api_base = os.environ["ROWCAST_URL"] + "/v1"

model = openai.Model.list()["data"][0]["id"]
assert model == "scripted", model
asked = {"model": model, "prompt": "A robot may not injure a human being", "seed": 3}
completion = openai.Completion.create(n=2, logprobs=3, max_tokens=16, **asked)
print(completion)
assert len(completion["choices"]) == 2
stream = openai.Completion.create(max_tokens=16, stream=True, **asked)
text = "".join(part["choices"][0]["text"] for part in stream)
assert text == completion["choices"][0]["text"]
echoed = openai.Completion.create(max_tokens=0, echo=True, logprobs=1, **asked)
assert echoed["choices"][0]["text"] == asked["prompt"]
hello = [{"role": "user", "content": "Hello"}]
chat = openai.ChatCompletion.create(model=model, messages=hello, max_tokens=9)
assert chat["choices"][0]["message"]["content"]
try:
    openai.Completion.create(model="nothing", prompt="a")
except openai.error.InvalidRequestError as refused:
    print(refused)
else:
    raise AssertionError("an unknown model was answered")
