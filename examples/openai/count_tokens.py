"""How many tokens a text, or a conversation, would be as a prompt.

python examples/openai/count_tokens.py [URL] [TOKEN]
"""

import sys

import requests

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7000"
HEADERS = {"Authorization": f"Bearer {sys.argv[2]}"} if len(sys.argv) > 2 else {}

for conversation in (
    "Hello, how are you today?",
    [{"role": "user", "content": "Hello, how are you today?"}],
):
    answer = requests.post(
        f"{URL}/v1/count_tokens",
        headers=HEADERS,
        json={"model": "falcon40b", "conversation": conversation},
        timeout=60,
    )
    answer.raise_for_status()
    print(answer.json()["count"], "tokens")
