"""OpenVINO GenAI's pipeline in this process; one POST requests a burst.

`openvino_engine.py FOLDER --port N …`. GET /health answers once it serves. POST /burst with the
prompts and the length of the replies runs them all at once, by the pipeline's own steps, and
returns the time of each token. There is no HTTP between the tokens and the clock.
"""

from __future__ import annotations

import argparse
import json
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai
from tokenizers import Tokenizer

CACHE_GB = 2
BATCH_TOKENS = 4096
NEVER_DRAWN = 0  # a byte; the pipeline requires an end-of-text token


class Engine:
    """The pipeline, and bursts."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._tokenizer = Tokenizer.from_file(str(Path(given.folder) / "tokenizer.json"))
        scheduler = genai.SchedulerConfig()
        scheduler.cache_size = CACHE_GB
        scheduler.max_num_seqs = given.streams
        scheduler.max_num_batched_tokens = BATCH_TOKENS
        scheduler.enable_prefix_caching = False
        self._pipeline = genai.ContinuousBatchingPipeline(
            given.folder, scheduler, "CPU", properties(given), {}
        )
        self._next = 0

    def burst(self, prompts: list[str], reply_tokens: int) -> list[dict[str, Any]]:
        """Run all prompts at once; return the time of each token."""
        config = genai.GenerationConfig()
        config.max_new_tokens = reply_tokens
        config.ignore_eos = True
        config.set_eos_token_id(NEVER_DRAWN)
        config.do_sample = False
        ids = [self._tokenizer.encode(prompt).ids for prompt in prompts]
        started = time.perf_counter()
        handles = [self._add(each, config) for each in ids]
        replies = [
            {
                "started": started,
                "arrivals": [],
                "ended": 0.0,
                "tokens": 0,
                "prompt_tokens": len(each),
            }
            for each in ids
        ]
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
            now = time.perf_counter()
            for handle, reply in zip(handles, replies, strict=True):
                _take(handle, reply, now)
        return replies

    def _add(self, ids: list[int], config: Any) -> Any:
        self._next += 1
        return self._pipeline.add_request(self._next, ov.Tensor(np.array([ids], np.int64)), config)


def properties(given: argparse.Namespace) -> dict[str, Any]:
    """Return the properties of the device."""
    shared = {"INFERENCE_NUM_THREADS": given.threads, "PERFORMANCE_HINT": "LATENCY"}
    if given.precision == "int8":
        return {**shared, "DYNAMIC_QUANTIZATION_GROUP_SIZE": given.group}
    return {**shared, "INFERENCE_PRECISION_HINT": "bf16"}


def _take(handle: Any, reply: dict[str, Any], now: float) -> None:
    if not handle.can_read():
        return
    for output in handle.read().values():
        reply["tokens"] += len(output.generated_ids)
        reply["arrivals"].append(now)
        reply["ended"] = now


class Control(BaseHTTPRequestHandler):
    """Handles the two routes."""

    engine: Engine

    def do_GET(self) -> None:
        """Answer 200: it listens only once it can serve."""
        self._answer(200, {"ready": True})

    def do_POST(self) -> None:
        """Run one burst."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            replies = self.engine.burst(body["prompts"], body["reply_tokens"])
        except RuntimeError as error:
            self._answer(500, {"message": str(error)})
        else:
            self._answer(200, {"replies": replies})

    def log_message(self, *args: object) -> None:
        """Log nothing: the bench reports the results."""

    def _answer(self, status: int, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--precision", required=True)
    for name in ("port", "threads", "group", "streams", "positions"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = parser.parse_args()
    Control.engine = Engine(given)
    HTTPServer(("127.0.0.1", given.port), Control).serve_forever()


if __name__ == "__main__":
    main()
