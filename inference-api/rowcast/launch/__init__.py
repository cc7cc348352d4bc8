"""The launcher: starts a backend, watches it, and restarts it when it ends.

    __main__          `python -m rowcast.launch`, which gunicorn's master starts
    launcher          forks backends, one after another
    backend_process   what runs in a fork; the entry `decode_backend.py` runs it without a launcher
    heartbeat         how the launcher notices a backend that hangs

Knows nothing of HTTP.
"""
