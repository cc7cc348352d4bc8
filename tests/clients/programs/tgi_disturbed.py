"""huggingface_hub's client of TGI: tokens, and with details; through killed decoders."""

from collections.abc import Callable

from disturbed import PROMPT, TOKEN, URL, hold
from huggingface_hub import InferenceClient

client = InferenceClient(URL, token=TOKEN)


def tokens(came: Callable[[], None]) -> str:
    parts = []
    for part in client.text_generation(PROMPT, max_new_tokens=12, seed=3, stream=True):
        came()
        parts.append(part)
    return "".join(parts)


def details(came: Callable[[], None]) -> str:
    parts, whole = [], None
    for event in client.text_generation(
        PROMPT, max_new_tokens=12, seed=3, stream=True, details=True
    ):
        came()
        parts.append(event.token.text)
        whole = event.generated_text
    assert whole == "".join(parts)
    return whole


hold("huggingface_hub, tokens", tokens, silent=True)
hold("huggingface_hub, details", details)
