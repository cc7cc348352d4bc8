"""The code behind `scripts/serve`: server and proxy started, awaited, watched and stopped.

    options    command line and environment ▶ what to run and where
    part       one process: start it, stop it, show the tail of its log
    stack      both of them: ready together, and when one ends, so does the other
    signals    how often we were asked to end
    cli        what the user reads, and the exit status

Communicates with server and proxy by HTTP and signals only; imports nothing of either.
"""
