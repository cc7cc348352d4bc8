"""The code behind `scripts/serve`: server and proxy started, awaited, watched and stopped.

    options         command line and environment ▶ what to run and where
    stack           server and proxy: ready together, and when one ends, so does the other
    stop_requests   counts the signals that ask this program to end
    cli             what the user reads, and the exit status

Communicates with server and proxy by HTTP and signals only; imports nothing of either.
"""
