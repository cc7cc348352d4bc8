"""Programs of the documents' pages, run as their readers run them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import requests

from processes import ROOT


def check_program(text: str, port: int, folder: Path) -> None:
    """Run a program, which must print something and succeed.

    A program that serves gets a request at `port`, and then Ctrl-C.
    """
    path = folder / "program.py"
    path.write_text(text)
    with subprocess.Popen(
        [sys.executable, str(path)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "inference-api"), "PYTHONUNBUFFERED": "1"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        shown = ""
        for line in process.stdout:
            shown += line
            if "Ctrl-C stops it" in line:
                assert requests.get(f"http://127.0.0.1:{port}/readiness", timeout=20).ok
                process.send_signal(signal.SIGINT)
    assert process.returncode == 0, shown
    assert shown.strip()
