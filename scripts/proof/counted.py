"""The server's own application, and beside it one greenlet that counts all of them.

gunicorn loads `proof.counted:create_server()` in the place of the server's own; nothing in the
server is changed. Each worker writes its count to a file named by its process id.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

import gevent
from flask import Flask
from greenlet import greenlet

import inference_api_server

FOLDER = "GREENLETS_FOLDER"
SECONDS = 1.0


def create_server() -> Flask:
    """The server, counted."""
    app = inference_api_server.create_server()
    gevent.spawn(_count, Path(os.environ[FOLDER]) / str(os.getpid()))
    return app


def _count(file: Path) -> None:
    while True:
        alive = sum(1 for each in gc.get_objects() if isinstance(each, greenlet) and each)
        file.write_text(str(alive))
        gevent.sleep(SECONDS)
