"""The server as an object: described, started and stopped from Python.

    model       one model, as an entry of the file of models describes it
    server      models and settings ▶ a file of models, an environment, a running server
    running     a running server: ready, requests, stop
    process     the child process, which ends with this one
    output      what the child writes: to a file, or on to standard error
    client      JSON and events over HTTP, for a server on this machine
    child       what the child runs: it becomes gunicorn

It is the server of `gunicorn.conf.py` in a process of its own; nothing of it runs in this one.
"""
