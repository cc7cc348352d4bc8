"""The supervisor, and the launchers that it forks: which models are loaded, and their processes.

    __main__          `python -m rowcast.launch`, which gunicorn's master starts
    supervisor        serves models.sock, watches the file of models, does what the fleet decides
    fleet/            which builds to start and stop: pure
    forks             the launchers, as children of the supervisor
    fork_server       has the libraries imported that load models, and forks launchers
    forked            what each fork does first and last
    reports           what a launcher and its backend report to the supervisor
    launcher_process  what runs in such a fork: the launcher of one build
    launcher          forks backends of one build, one after another
    backend_process   what runs in a fork of it; the entry `decode_backend.py` runs it alone
    heartbeat         how a launcher notices a backend that hangs

Knows nothing of HTTP.
"""
