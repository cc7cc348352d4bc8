"""Behind `scripts/serve`: server and proxy together, started, awaited, watched and stopped.

    options    command line and environment ▶ what to run and where
    part       one process: start it, tell it to end, show the tail of its log
    stack      both of them: ready together, and when one ends, so does the other
    signals    how often somebody asked us to end
    cli        what the user reads, and the exit status

Talks to server and proxy over HTTP and signals only; imports nothing of either.
"""
