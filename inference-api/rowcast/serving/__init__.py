"""The server as an object: described, started and stopped from Python.

    model              one model, as an entry of the file of models describes it
    server             models and settings ▶ a file of models, variables, a running server
    running            a running server: ready, requests, stop
    child_process      a process that ends with this one at the latest
    server_process     the server's
    listening_socket   its socket, opened before it starts
    output             what the child writes, to a file or to standard error
    client             JSON and events over HTTP, for a server on this machine
    become_gunicorn    what the child runs

This is the server of `gunicorn.conf.py` in a process of its own; no part of it runs in this one.
"""
