"""What is served.

python examples/openai/models.py [URL] [TOKEN]
"""

import sys

import requests

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7000"
HEADERS = {"Authorization": f"Bearer {sys.argv[2]}"} if len(sys.argv) > 2 else {}

answer = requests.get(f"{URL}/v1/models", headers=HEADERS, timeout=60)
answer.raise_for_status()
for model in answer.json()["data"]:
    print(model["id"], "owned by", model["owned_by"])
