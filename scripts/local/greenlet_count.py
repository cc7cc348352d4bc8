"""Any application under gunicorn and gevent, plus one greenlet that counts all greenlets.

gunicorn loads `local.greenlet_count:create()` in place of the application that `APPLICATION`
names, which is unchanged. Each worker writes its count to a file named by its process id.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import gevent
from greenlet import greenlet
from gunicorn.util import import_app

APPLICATION, FOLDER = "COUNTED_APPLICATION", "COUNTED_FOLDER"
SECONDS = 1.0


def create() -> Any:
    """Return the application, counted."""
    application = import_app(os.environ[APPLICATION])
    gevent.spawn(_count, Path(os.environ[FOLDER]) / str(os.getpid()))
    return application


def _count(file: Path) -> None:
    fresh = file.with_suffix(".fresh")
    while True:
        alive = sum(1 for each in gc.get_objects() if isinstance(each, greenlet) and each)
        fresh.write_text(str(alive))
        fresh.replace(file)
        gevent.sleep(SECONDS)
