"""Flask and `generate`: the simplest server of a language model, in OpenAI's completions dialect.

`flask_server.py FOLDER --port N --threads N`. One reply at a time: the next one waits for the lock.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Iterator
from typing import Any

import torch
from flask import Flask, Response, request
from transformers import AutoModelForCausalLM, AutoTokenizer, TextIteratorStreamer

REPLY_SECONDS = 600.0


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    create_app(given.folder).run("127.0.0.1", given.port, threaded=True)


def create_app(folder: str) -> Flask:
    """Return the application, with its model loaded."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    app, turn = Flask(__name__), threading.Lock()

    def health() -> str:
        return "ok"

    def completions() -> Response:
        body = request.get_json()
        inputs = tokenizer(body["prompt"], return_tensors="pt")
        return Response(_events(model, tokenizer, inputs, body, turn), mimetype="text/event-stream")

    app.add_url_rule("/health", view_func=health)
    app.add_url_rule("/v1/completions", view_func=completions, methods=["POST"])
    return app


def _events(
    model: Any, tokenizer: Any, inputs: Any, body: dict[str, Any], turn: threading.Lock
) -> Iterator[str]:
    tokens = int(body["max_tokens"])
    with turn:
        streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, timeout=REPLY_SECONDS)
        wanted = {**inputs, "do_sample": False, "max_new_tokens": tokens, "streamer": streamer}
        thread = threading.Thread(target=model.generate, kwargs=wanted, name="generate")
        thread.start()
        for text in streamer:
            if text:
                yield _event({"choices": [{"index": 0, "text": text, "finish_reason": None}]})
        thread.join(timeout=REPLY_SECONDS)
    counts = {"prompt_tokens": inputs["input_ids"].shape[-1], "completion_tokens": tokens}
    ending = {"index": 0, "text": "", "finish_reason": "length"}
    yield _event({"choices": [ending], "usage": counts})
    yield "data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value)}\n\n"


if __name__ == "__main__":
    main()
