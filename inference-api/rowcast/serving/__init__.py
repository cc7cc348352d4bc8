"""The server as an object: described, started and stopped from Python.

    model              one model, as an entry of the file of models describes it
    server             models and settings ▶ a file of models, an environment, a running server
    running            a running server: ready, requests, stop
    server_process     the child process, which ends with this one
    listening_socket   where it listens, opened beforehand
    output             what the child writes: to a file, or on to standard error
    client             JSON and events over HTTP, for a server on this machine
    become_gunicorn    what the child runs

It is the server of `gunicorn.conf.py` in a process of its own; nothing of it runs in this one.
"""
