"""A small server in its own process, in OpenAI's dialect, for the tests of `bench_peers`.

`peer_program.py --port N [--short N] [--deaf] [--broken] [--inside]`. A reply is `max_tokens`
words, minus the short ones. With `--deaf` it ignores SIGTERM and leaves a child in another session,
as some servers do. With `--inside` it answers the bench's own POST /burst, as a program with an
engine does.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--short", type=int, default=0)
parser.add_argument("--deaf", action="store_true")
parser.add_argument("--broken", action="store_true")
parser.add_argument("--inside", action="store_true")
GIVEN = parser.parse_args()
LINGER = [sys.executable, "-c", "import time; time.sleep(600)"]


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.whole(200, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/burst":
            self.stream(body)
        elif GIVEN.inside:
            self.whole(200, {"replies": [seen(each, body) for each in body["prompts"]]})
        else:
            self.whole(500, {"message": "out of\nmemory"})

    def stream(self, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        tokens = body["max_tokens"] - GIVEN.short
        for _ in range(tokens):
            self.event({"choices": [{"text": " word", "finish_reason": None}]})
        counts = {"prompt_tokens": len(body["prompt"]), "completion_tokens": tokens}
        self.event({"choices": [{"text": "", "finish_reason": "length"}], "usage": counts})
        self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def event(self, value: object) -> None:
        self.chunk(f"data: {json.dumps(value)}\n\n".encode())

    def chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def whole(self, status: int, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


def seen(prompt: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return what a program with an engine reports about one reply."""
    now, tokens = time.perf_counter(), body["reply_tokens"]
    moments = [now + 0.01 * (1 + number) for number in range(tokens)]
    counts = {"prompt_tokens": len(prompt), "tokens": tokens}
    return {**counts, "started": now, "arrivals": moments, "ended": moments[-1]}


if GIVEN.broken:
    sys.exit("no such weights")
if GIVEN.deaf:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(LINGER, start_new_session=True)
    print("child", child.pid, os.getpid(), flush=True)
ThreadingHTTPServer(("127.0.0.1", GIVEN.port), Answers).serve_forever()
