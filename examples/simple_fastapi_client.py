"""Stream several completions of a prompt from /generate.

python examples/simple_fastapi_client.py --url http://127.0.0.1:7000 --n 4

Each piece of the answer is JSON with all completions so far, and ends with a NUL byte.
"""

import argparse
import json
from collections.abc import Iterator

import requests

UP, CLEAR = "\033[1A", "\x1b[2K"


def stream(url: str, body: dict[str, object], token: str) -> Iterator[list[str]]:
    """Yield the texts so far."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = requests.post(f"{url}/generate", json=body, headers=headers, stream=True, timeout=600)
    if not answer.ok:
        raise SystemExit(f"{answer.status_code}: {answer.text.strip()}")
    held = b""
    for chunk in answer.iter_content(8192):
        *pieces, held = (held + chunk).split(b"\0")
        for piece in pieces:
            yield json.loads(piece)["text"]


def main() -> None:
    """Print the texts, over those that were printed before."""
    options = argparse.ArgumentParser(description="Stream several completions of a prompt.")
    options.add_argument("--url", default="http://127.0.0.1:7000")
    options.add_argument("--token", default="", help="for the proxy")
    options.add_argument("--prompt", default="San Francisco is a")
    options.add_argument("--n", type=int, default=4)
    options.add_argument("--max-tokens", type=int, default=16)
    options.add_argument("--seed", type=int)
    options.add_argument("--use-beam-search", action="store_true")
    chosen = options.parse_args()
    body: dict[str, object] = {
        "prompt": chosen.prompt,
        "n": chosen.n,
        "use_beam_search": chosen.use_beam_search,
        "temperature": 0.0 if chosen.use_beam_search else 1.0,
        "max_tokens": chosen.max_tokens,
        "stream": True,
    }
    if chosen.seed is not None:
        body["seed"] = chosen.seed
    lines = 0
    for texts in stream(chosen.url.rstrip("/"), body, chosen.token):
        print((UP + CLEAR) * lines, end="")
        for number, text in enumerate(texts):
            print(f"Candidate {number}: {text!r}", flush=True)
        lines = len(texts)


if __name__ == "__main__":
    main()
