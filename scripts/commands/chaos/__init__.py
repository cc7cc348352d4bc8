"""The code behind `scripts/chaos`: each promise of reliability as a claim that a run can refute.

    claims/      one file per claim: what is done to a server, and what must still hold
    claim        the form of a claim, of its sizes and of its findings
    kinds        requests of every kind and dialect, drawn from a seed
    crowd        many requests at once in one thread, read as they arrive, left in every way
    told         the content of an answer, whatever its pieces; where to resume it
    flow         keeps a crowd in flight and compares each answer with the undisturbed one
    server       a server of our own: its processes, their resources, and ways to end them
    page         the table of docs/reliability.md
    options, cli the command line, the order of steps, the exit status

The right bytes always come from the server itself, undisturbed. Imports nothing of rowcast.
"""
