"""The code behind `scripts/chaos`: each promise of reliability as a claim that a run can refute.

    claims/        one file per claim: what is done to a server, and what must still hold
    claim          the form of a claim, of its sizes and of its findings
    context        what a claim receives: servers, a folder, a progress output
    models/        servers of several models: their file, states, and answers by build
    traffic/       requests of every kind, many at once, compared with undisturbed answers
    page           the table of docs/reliability.md
    options, cli   the command line, the order of steps, the exit status

The right bytes always come from the server itself, undisturbed. Imports nothing of rowcast.
"""
