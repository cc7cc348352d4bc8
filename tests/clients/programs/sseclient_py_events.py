"""sseclient-py: chat and native events, read through silence and killed decoders."""

import json
from collections.abc import Callable
from typing import Any

import requests
import sseclient
from disturbed import BASE, HELLO, PROMPT, TOKEN, URL, hold

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def events(url: str, body: dict[str, Any], came: Callable[[], None]) -> str:
    parts = []
    asked = body | {"seed": 3, "max_tokens": 12}
    with requests.post(url, json=asked, headers=HEADERS, stream=True, timeout=60) as answer:
        for event in sseclient.SSEClient(answer).events():
            if event.data == "[DONE]" or event.event == "end":
                break
            said = json.loads(event.data)
            text = said.get("text") or said["choices"][0]["delta"].get("content")
            if text:
                came()
                parts.append(text)
    return "".join(parts)


asked = {"model": "scripted", "stream": True, "messages": HELLO}
hold("chat", lambda came: events(BASE + "/chat/completions", asked, came), silent=True)
hold("native", lambda came: events(URL + "/chat/scripted", {"text": PROMPT}, came))
