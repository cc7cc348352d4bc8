"""Logs from several threads of one process under gevent."""

import os
import subprocess
import sys

from processes import PATIENCE, ROOT

# Two threads of gevent's pool that log at once hang for ever with gevent's locks, in every run.
LOGGING_THREADS = """
from gevent import monkey
monkey.patch_all()
import gevent, logging
from rowcast.log import configure

configure("INFO")

def log(thread):
    for number in range(300):
        logging.getLogger(f"rowcast.{number % 50}").info("thread=%s number=%s", thread, number)

pool = gevent.get_hub().threadpool
threads = [gevent.spawn(pool.apply, log, (each,)) for each in range(4)]
log("loop")
gevent.joinall(threads, raise_error=True)
"""


def test_threads_of_the_pool_and_the_event_loop_log_at_once() -> None:
    result = subprocess.run(
        [sys.executable, "-c", LOGGING_THREADS],
        env=os.environ | {"PYTHONPATH": str(ROOT / "inference-api")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    lines = result.stderr.splitlines()
    assert len(lines) == 5 * 300
    assert all(" thread=" in line for line in lines)
