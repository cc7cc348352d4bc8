"""Chat, as it is generated.

python examples/openai/stream.py [URL] [TOKEN] [SEED]
"""

import json
import sys

import requests

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7000"
HEADERS = {"Authorization": f"Bearer {sys.argv[2]}"} if len(sys.argv) > 2 else {}
SEED = {"seed": int(sys.argv[3])} if len(sys.argv) > 3 else {}  # the same again

with requests.post(
    f"{URL}/v1/chat/completions",
    headers=HEADERS,
    json={
        "model": "falcon40b",
        "messages": [{"role": "user", "content": "Write a short story about a robot."}],
        "temperature": 0.8,
        "max_tokens": 300,
        "stream": True,
        **SEED,
    },
    stream=True,
    timeout=600,
) as answer:
    answer.raise_for_status()
    for line in answer.iter_lines():
        if not line.startswith(b"data: ") or line == b"data: [DONE]":
            continue
        delta = json.loads(line.removeprefix(b"data: "))["choices"][0]["delta"]
        print(delta.get("content") or "", end="", flush=True)
print()
