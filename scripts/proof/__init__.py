"""Behind `scripts/chaos`: each promise of reliability as a claim that a run can refute.

    claims/      one file a claim: what is done to a server, and what must hold nevertheless
    claim        the form of a claim, of its sizes and of what was found
    kinds        requests of every kind and dialect, drawn from a seed
    crowd        many requests at once in one thread, read as they come, left in every manner
    told         what an answer says, whatever the pieces it came in; where to go on reading it
    flow         keeps a crowd in flight and holds each answer against the undisturbed one
    server       a server of our own: its processes, what they hold, and ways to end them
    page         the table of docs/reliability.md
    options, cli the command line, the order of things, the exit status

The right bytes always come from the server itself, undisturbed. Imports nothing of rowcast.
"""
