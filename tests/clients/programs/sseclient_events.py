"""sseclient, which reads with GET: kept streams, read through silence and killed decoders."""

import json
from collections.abc import Callable

import requests
import sseclient
from disturbed import BASE, HELLO, TOKEN, hold

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def chat(came: Callable[[], None]) -> str:
    asked = {"model": "scripted", "stream": True, "messages": HELLO, "seed": 3, "max_tokens": 12}
    url = BASE + "/chat/completions"
    with requests.post(url, json=asked, headers=HEADERS, stream=True, timeout=60) as answer:
        stream = answer.headers["X-Stream-ID"]
    parts = []
    for event in sseclient.SSEClient(f"{BASE}/streams/{stream}", headers=HEADERS, timeout=60):
        if event.data == "[DONE]":
            break
        text = json.loads(event.data)["choices"][0]["delta"].get("content")
        if text:
            came()
            parts.append(text)
    return "".join(parts)


hold("a kept chat", chat, silent=True)
