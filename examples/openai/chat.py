"""Chat, at once.

python examples/openai/chat.py [URL] [TOKEN] [SEED]
"""

import sys

import requests

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7000"
HEADERS = {"Authorization": f"Bearer {sys.argv[2]}"} if len(sys.argv) > 2 else {}
SEED = {"seed": int(sys.argv[3])} if len(sys.argv) > 3 else {}  # the same again

answer = requests.post(
    f"{URL}/v1/chat/completions",
    headers=HEADERS,
    json={
        "model": "falcon40b",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "What is the capital of France?"},
        ],
        "temperature": 0.7,
        "max_tokens": 500,
        "stream": False,
        **SEED,
    },
    timeout=600,
)
answer.raise_for_status()
print(answer.json()["choices"][0]["message"]["content"])
print(answer.json()["usage"])
