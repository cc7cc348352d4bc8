"""A pause in long work, in which all other requests run.

Under gevent `sleep(0)` is a callback of the event loop, which runs some fifty callbacks before it
looks at its sockets: a stream would wait for as many parts of another request's work.
"""

import time

REST_SECONDS = 1e-9  # a timer, which has come when the loop has looked at the sockets


def rest() -> None:
    """Let all others run, also those whose sockets have become ready."""
    time.sleep(REST_SECONDS)
