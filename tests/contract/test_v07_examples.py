"""V-07, V-13, F-09, P-26, P-27: the examples, run as their users run them."""

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import requests

from processes import ROOT, Running, running_server
from scripted_replies import scripted_reply

PAGE = "<html><head><style>p {}</style></head><p>Igor lives near the mill.</p><p>Ana bakes.</p>"
PROMPTS = (
    "Hello, my name is",
    "The president of the United States is",
    "The capital of France is",
    "The future of AI is",
)


def example(name: str, *arguments: str, fails: bool = False) -> str:
    """Run an example; return what it prints."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT / "inference-api")},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails and not done.stdout else done.stdout


def run_tester(server: Running, *arguments: str, fails: bool = False) -> str:
    return example("simple_tester.py", "--url", server.url, *arguments, fails=fails)


def test_v07_offline_inference_completes_the_four_prompts() -> None:
    lines = example("offline_inference.py", "--model", "scripted").splitlines()
    shown = [line for line in lines if line.startswith("Prompt: ")]
    assert [line.split(", Generated text: ")[0] for line in shown] == [
        f"Prompt: {prompt!r}" for prompt in PROMPTS
    ]


def test_v13_the_simple_client_streams_all_candidates(server: Running) -> None:
    shown = example("simple_fastapi_client.py", "--url", server.url, "--n", "3", "--seed", "4")
    prompt = "San Francisco is a"
    last = shown.rstrip("\n").splitlines()[-3:]
    assert f"Candidate 0: {prompt + scripted_reply(prompt, 4, 16).text!r}" in last[0]
    assert [line.rpartition("Candidate ")[2][:1] for line in last] == ["0", "1", "2"]


@contextlib.contextmanager
def site(folder: Path) -> Iterator[str]:
    """Serve a folder."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Write nothing."""

    serving = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, directory=str(folder))
    )
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{serving.server_address[1]}"
    finally:
        serving.shutdown()
        thread.join()
        serving.server_close()


@pytest.mark.slow
def test_f09_questions_about_a_document_of_a_file_or_an_allowed_host(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(PAGE)
    common = ("Who lives near the mill?", "--model", "scripted", "--seed", "3")
    shown = example("document_questions.py", str(tmp_path / "page.html"), *common)
    prompt = "user: Igor lives near the mill.\n\nWho lives near the mill?\nassistant:"
    answer = scripted_reply(prompt, 3, 64).text.strip()
    assert shown == f"Question: Who lives near the mill?\nAnswer: {answer}\n"
    with site(tmp_path) as url:
        place = f"{url}/page.html"
        assert example("document_questions.py", place, *common, "--allow", "127.0.0.1") == shown
        refused = example("document_questions.py", place, *common, fails=True)
    assert refused == "127.0.0.1 is not allowed; add --allow 127.0.0.1\n"


def test_p27_the_tester_generates_and_checks_the_health(server: Running) -> None:
    named = ("--prompt", "Hello", "--model-name", "scripted", "--seed", "2")
    shown = json.loads(run_tester(server, "generate", *named))
    assert shown["result"] == scripted_reply("Hello", 2, 16).text
    assert "vicuna_q2" in run_tester(
        server, "generate", "--prompt", "Hello", "--model-name", "vicuna_q2", fails=True
    )
    assert json.loads(run_tester(server, "health-check"))["status"] == "ready"


def test_p26_p27_the_tester_begins_and_follows_a_task(tmp_path: Path) -> None:
    with running_server(tmp_path, env={"JOURNAL": str(tmp_path / "journal.db")}) as server:
        begun = json.loads(run_tester(server, "send-text", "--prompt", "Hello", "--seed", "2"))
        name = begun["task_id"]
        assert name in run_tester(server, "tasks")
        path = f"/poll_task_status/{name}?target_status=SUCCESS"
        requests.get(f"{server.url}{path}", timeout=60).raise_for_status()
        ended = json.loads(run_tester(server, "get-task-status", "--task-id", name))
    assert ended["result"] == scripted_reply("Hello", 2, 16).text
