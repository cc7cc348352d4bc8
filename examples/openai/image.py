"""A question about an image, for a model that can see; others answer what they cannot.

python examples/openai/image.py [URL] [TOKEN]
"""

import sys

import requests

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7000"
HEADERS = {"Authorization": f"Bearer {sys.argv[2]}"} if len(sys.argv) > 2 else {}
DOT = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8"
    "z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)

answer = requests.post(
    f"{URL}/v1/chat/completions",
    headers=HEADERS,
    json={
        "model": "falcon40b",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image", "image": DOT},
                    {"type": "text", "text": "What do you see in this image?"},
                ],
            }
        ],
        "max_tokens": 300,
    },
    timeout=600,
)
if answer.ok:
    print(answer.json()["choices"][0]["message"]["content"])
else:
    print(answer.json()["error"]["message"])
