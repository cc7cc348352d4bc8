"""litellm: a chat by two of its providers, read through silence and killed decoders."""

import os
from collections.abc import Callable

import litellm
from disturbed import BASE, HELLO, TOKEN, hold

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"


def by(provider: str) -> Callable[[Callable[[], None]], str]:
    def read(came: Callable[[], None]) -> str:
        parts = []
        for part in litellm.completion(
            model=f"{provider}/scripted",
            api_base=BASE,
            api_key=TOKEN,
            messages=HELLO,
            seed=3,
            max_tokens=12,
            max_retries=0,
            stream=True,
        ):
            content = part.choices[0].delta.content
            if content:
                came()
                parts.append(content)
        return "".join(parts)

    return read


hold("litellm, openai", by("openai"), silent=True)
hold("litellm, hosted_vllm", by("hosted_vllm"))
