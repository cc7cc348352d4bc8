"""httpx-sse: chat and native events, read through silence and killed decoders."""

import json
from collections.abc import Callable
from typing import Any

import httpx
from disturbed import BASE, HELLO, PROMPT, TOKEN, URL, hold
from httpx_sse import connect_sse

CLIENT = httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)


def events(url: str, body: dict[str, Any], came: Callable[[], None]) -> str:
    parts = []
    with connect_sse(CLIENT, "POST", url, json=body | {"seed": 3, "max_tokens": 12}) as source:
        for event in source.iter_sse():
            if event.data == "[DONE]" or event.event == "end":
                break
            assert event.id
            said = json.loads(event.data)
            text = said.get("text") or said["choices"][0]["delta"].get("content")
            if text:
                came()
                parts.append(text)
    return "".join(parts)


asked = {"model": "scripted", "stream": True, "messages": HELLO}
hold("chat", lambda came: events(BASE + "/chat/completions", asked, came), silent=True)
hold("native", lambda came: events(URL + "/chat/scripted", {"text": PROMPT}, came))
